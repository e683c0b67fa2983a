"""What is left of an encoder that is killed, and what info and decode make of it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from gistcast.cli import main
from gistcast.cli.encode import growing_file
from gistcast.codec.clip import Clip
from gistcast.codec.file import GistFile, decode_video, read_gist
from gistcast.codec.header import Header
from gistcast.codec.media import VideoInfo, VideoWriter, load_clip
from gistcast.codec.packet import TEXT, Packet

CLIP = 8  # frames
_SECONDS = 120  # of patience with a busy machine


@contextlib.contextmanager
def _encoder(target: str) -> Iterator[tuple[subprocess.Popen[bytes], BinaryIO]]:
    """An encoder of what is written to its standard input; killed on the way out."""
    command = [sys.executable, "-m", "gistcast", "encode", "-", "-o", target]
    process = subprocess.Popen(
        [*command, "--clip", str(CLIP), "--preset", "fast", "-q", "30"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    try:
        yield process, cast(BinaryIO, process.stdin)
    finally:
        process.kill()
        process.communicate()


def _y4m(clip: Clip) -> bytes:
    out = BytesIO()
    VideoWriter(out, VideoInfo(clip.width, clip.height, Fraction(25))).write(clip)
    return out.getvalue()


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def _wait_for(path: Path, clips: int) -> GistFile:
    """The file once it holds so many clips."""
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        if path.is_file() and path.stat().st_size:
            parsed = read_gist(path.read_bytes())
            if len(parsed.clips) >= clips:
                return parsed
        time.sleep(0.05)
    raise AssertionError(f"{path} does not grow to {clips} clips")


def test_a_killed_encoder_leaves_its_clips_beside_the_target(tmp_path: Path, street: Clip) -> None:
    target, part = tmp_path / "a.gist", tmp_path / "a.gist.part"
    with _encoder(str(target)) as (process, source):
        source.write(_y4m(street))  # and then nothing: it waits for the rest
        source.flush()
        _wait_for(part, 2)
        _kill(process)
    assert not target.exists()
    parsed = read_gist(part.read_bytes())
    assert not parsed.losses() and 2 <= len(parsed.clips) < 5
    frames = sum(d.clip.frames for d in decode_video(part.read_bytes()))
    assert frames == CLIP * len(parsed.clips)
    assert main(["decode", str(part), "-o", str(tmp_path / "a.y4m"), "--refine", "off"]) == 0

    with _encoder(str(target)) as (process, _):
        process.communicate(_y4m(street[:CLIP]))
        assert process.returncode == 0 and not part.exists()
    assert len(read_gist(target.read_bytes()).clips) == 1


def test_a_killed_encoder_leaves_whole_clips_in_a_pipe(street: Clip) -> None:
    data = b""
    with _encoder("-") as (process, source):
        assert process.stdout is not None
        source.write(_y4m(street))
        source.flush()
        while not data or len(read_gist(data).clips) < 2:
            assert select.select([process.stdout], [], [], _SECONDS)[0]
            data += os.read(process.stdout.fileno(), 1 << 16)
        _kill(process)
        data += process.stdout.read()
    parsed = read_gist(data)
    assert not parsed.losses() and 2 <= len(parsed.clips) < 5
    assert all(not d.damage for d in decode_video(data))


def test_a_failed_encoder_leaves_nothing(tmp_path: Path, street: Clip) -> None:
    """Not at the first frame, as `tests/app` has it, but when clips have been written."""

    class BrokenError(Exception):
        pass

    with pytest.raises(BrokenError), growing_file(str(tmp_path / "a.gist")) as file:
        file.write(b"a clip")
        file.flush()
        assert [p.name for p in tmp_path.iterdir()] == ["a.gist.part"]
        raise BrokenError
    assert not list(tmp_path.iterdir())


def test_two_encoders_of_one_file(tmp_path: Path, street: Clip) -> None:
    target = tmp_path / "a.gist"
    with _encoder(str(target)) as (first, source):
        source.write(_y4m(street))
        source.flush()
        _wait_for(tmp_path / "a.gist.part", 1)
        with _encoder(str(target)) as (second, _):
            second.communicate(_y4m(street[:CLIP]))
            assert second.returncode == 2
        first.communicate()
        assert first.returncode == 0
    assert sum(d.clip.frames for d in decode_video(target.read_bytes())) == 32


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory, street: Clip) -> Path:
    """Four clips: one damaged in its middle, the third cut out, the last cut off."""
    from gistcast.codec.encoder import EncodeSettings
    from gistcast.codec.file import encode_video

    settings = EncodeSettings(quality=30, clip_frames=CLIP, residual_layers=3, preset="fast")
    clips = [street[at : at + CLIP] for at in range(0, 32, CLIP)]
    data = bytearray(encode_video(clips, VideoInfo(64, 64, Fraction(25)), settings))
    first, _, third, last = read_gist(bytes(data)).clips
    data[first.offset + 4 + len(first.packets[0].payload) + 8] ^= 1
    path = tmp_path_factory.mktemp("damaged") / "damaged.gist"
    path.write_bytes(bytes(data[: third.offset] + data[last.offset : last.offset + last.size - 5]))
    return path


def test_info_says_what_was_lost(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(damaged), "--json"]) == 3
    captured = capsys.readouterr()
    assert "clip 2 missing" in captured.err
    facts = json.loads(captured.out)
    assert facts["missing_clips"] == [[2, 2]]
    assert [c["complete"] for c in facts["clips"]] == [False, True, False]
    lost = "\n".join(facts["losses"])
    for words in ("clip 2 missing", "clip 0 has only residual.0, residual.2", "damage at byte"):
        assert words in lost
    assert main(["info", str(damaged)]) == 3
    assert "clip 3 has only residual.0, residual.1" in capsys.readouterr().out


def test_a_text_that_cannot_be_read_is_a_loss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its checksum is good, and its bytes are no text."""
    head = Header(16, 12, Fraction(25), CLIP).to_bytes()
    path = tmp_path / "a.gist"
    path.write_bytes(head + Packet(0, TEXT, b"\xff" * 9, last=True).to_bytes(head))
    assert main(["info", str(path), "--json"]) == 3
    (loss,) = json.loads(capsys.readouterr().out)["losses"]
    assert loss.startswith("clip 0: text: ")
    command = ["decode", str(path), "-o", str(tmp_path / "a.y4m"), "--refine", "off"]
    assert main(command) == 3


def test_decode_recovers_the_rest(
    damaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["decode", str(damaged), "-o", str(tmp_path / "a.y4m"), "--refine", "off"]
    assert main([*command, "--json"]) == 3
    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert facts["frames"] == 3 * CLIP and facts["clips_damaged"] == 3
    assert "clip 2 missing" in captured.err
    assert load_clip(tmp_path / "a.y4m")[0].frames == 3 * CLIP
    assert main([*command, "-y", "--layers", "text"]) == 3  # there is none
    assert main([*command, "-y", "--max-pixels", "4095"]) == 1
    assert "4095 pixels" in capsys.readouterr().err
