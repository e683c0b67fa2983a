"""Video files in and out, and where clips are cut."""

from __future__ import annotations

import io
import threading
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.errors import CorruptError, UsageError
from gistcast.codec.media import VideoInfo, VideoReader, VideoWriter, load_clip, read_clips, stack

Make = Callable[..., Clip]
STREET = Path(__file__).parent.parent.parent / "app" / "assets" / "street.mp4"


def _write(path: Path, clips: list[Clip], fps: Fraction = Fraction(25)) -> None:
    writer = VideoWriter(path, VideoInfo(clips[0].width, clips[0].height, fps))
    for clip in clips:
        writer.write(clip)
    writer.close()


@pytest.mark.parametrize("shape", [(3, 16, 16), (5, 33, 47), (1, 64, 18)])
def test_y4m_is_exact(tmp_path: Path, moving_clip: Make, shape: tuple[int, int, int]) -> None:
    clip = moving_clip(*shape)
    _write(tmp_path / "a.y4m", [clip], Fraction(30000, 1001))
    again, info = load_clip(tmp_path / "a.y4m")
    assert info == VideoInfo(shape[2], shape[1], Fraction(30000, 1001))
    for ours, theirs in zip(clip.planes, again.planes, strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_containers_keep_colour(tmp_path: Path, moving_clip: Make, suffix: str) -> None:
    clip = moving_clip(12, 48, 64)
    _write(tmp_path / f"a.{suffix}", [clip])
    again, info = load_clip(tmp_path / f"a.{suffix}")
    assert (again.frames, info.fps) == (12, 25)
    for ours, theirs in zip(clip.planes, again.planes, strict=True):
        assert np.abs(ours.astype(int) - theirs).mean() < 2.5
        assert abs(float(ours.mean()) - float(theirs.mean())) < 0.5


def test_odd_sizes_in_mp4_are_padded(tmp_path: Path, moving_clip: Make) -> None:
    _write(tmp_path / "odd.mp4", [moving_clip(4, 33, 47)])
    again, _ = load_clip(tmp_path / "odd.mp4")
    assert again.y.shape == (4, 34, 48)


def test_file_objects(moving_clip: Make) -> None:
    clip = moving_clip(3, 16, 16)
    buffer = io.BytesIO()
    writer = VideoWriter(buffer, VideoInfo(16, 16, Fraction(10)))
    writer.write(clip)
    writer.close()
    with VideoReader(io.BytesIO(buffer.getvalue())) as reader:
        assert np.array_equal(stack(list(reader)).y, clip.y)


def test_frame_rate_is_resampled(tmp_path: Path, moving_clip: Make) -> None:
    clip = moving_clip(30, 16, 16)
    _write(tmp_path / "a.y4m", [clip], Fraction(30))
    with VideoReader(tmp_path / "a.y4m", fps=Fraction(10)) as reader:
        slow = stack(list(reader))
    assert np.array_equal(slow.y, clip.y[::3])
    with VideoReader(tmp_path / "a.y4m", fps=Fraction(60)) as reader:
        frames = list(reader)
    assert len(frames) in (59, 60)


def test_crop_keeps_the_centre(tmp_path: Path) -> None:
    luma = np.full((1, 32, 64), 50, np.uint8)
    luma[:, :, 16:48] = 200
    clip = Clip(luma, *[np.full((1, 16, 32), 128, np.uint8)] * 2)
    _write(tmp_path / "a.y4m", [clip])
    square, _ = load_clip(tmp_path / "a.y4m", size=(16, 16))
    assert square.y.shape == (1, 16, 16) and np.abs(square.y.astype(int) - 200).max() <= 1


def test_clips_end_at_scene_changes() -> None:
    with VideoReader(STREET, size=(64, 64)) as reader:
        lengths = [c.frames for c in read_clips(reader, 32)]
    assert lengths == [32, 18, 32, 23]


def test_motion_is_no_scene_change(moving_clip: Make) -> None:
    clip = moving_clip(32, 64, 64)
    frames = list(zip(*clip.planes, strict=True))
    assert [c.frames for c in read_clips(frames, 32)] == [32]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        VideoReader(tmp_path / "missing.mp4")
    with pytest.raises(UsageError, match="is a folder"):
        VideoReader(tmp_path)
    with pytest.raises(UsageError, match="at 0 a second"):
        VideoReader(STREET, fps=Fraction(0))
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 80, "NONE", ""))
        sound.writeframes(bytes(160))
    with pytest.raises(CorruptError, match="it holds no pictures"):
        VideoReader(tmp_path / "sound.wav")
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(CorruptError, match="cannot read"):
        VideoReader(tmp_path / "noise.mp4")
    for name, said in (("a.gif", "as .gif: use"), ("frames", "without a suffix: use")):
        with pytest.raises(UsageError, match=said):
            VideoWriter(tmp_path / name, VideoInfo(16, 16, Fraction(25)))


def test_closing_waits_for_a_read_in_another_thread(tmp_path: Path, moving_clip: Make) -> None:
    _write(tmp_path / "a.y4m", [moving_clip(32, 256, 256)])
    asked, go_on = threading.Event(), threading.Event()

    class Slow(io.BytesIO):
        armed = False

        def read(self, size: int | None = -1) -> bytes:
            if self.armed:
                asked.set()
                assert go_on.wait(20)
            return super().read(size)

    source = Slow((tmp_path / "a.y4m").read_bytes())
    reader, problems = VideoReader(source), []

    def read() -> None:
        try:
            list(reader)
        except UsageError as error:
            problems.append(str(error))

    source.armed = True
    reading, closing = threading.Thread(target=read), threading.Thread(target=reader.close)
    reading.start()
    assert asked.wait(20)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive() and reading.is_alive()
    go_on.set()
    closing.join(20)
    reading.join(20)
    assert not closing.is_alive() and not reading.is_alive()
    assert problems == ["the video was closed while it was read"]
