"""What the user names becomes clips: containers, raw files, pictures, folders, manifests."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb, rgb_to_clip
from gistcast.codec.convert import Colour
from gistcast.codec.errors import CorruptError, GistcastError, UsageError
from gistcast.codec.images import list_images, natural_order
from gistcast.codec.media import RawVideo, VideoInfo, VideoWriter, frames_to_bytes
from gistcast.eval.inputs import Options, Source, find_sources, parse_raw, raw_of

Make = Callable[..., Clip]
STREET = Path(__file__).parent.parent.parent / "app" / "assets" / "street.mp4"


@pytest.fixture
def clip(moving_clip: Make) -> Clip:
    return moving_clip(6, 48, 64)


def write_y4m(path: Path, clip: Clip, fps: Fraction = Fraction(25)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = VideoWriter(path, VideoInfo(clip.width, clip.height, fps))
    writer.write(clip)
    writer.close()
    return path


def write_lossless(path: Path, clip: Clip) -> None:
    """The clip by FFmpeg's lossless FFV1, or lossless VP9 where the container wants it."""
    encoder, options = ("ffv1", {})
    if path.suffix == ".webm":
        encoder, options = "libvpx-vp9", {"lossless": "1", "cpu-used": "8"}
    elif path.suffix in (".mp4", ".mov"):
        encoder, options = "libx264", {"qp": "0", "preset": "ultrafast"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=30)
        stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, "yuv420p"
        stream.options = options
        for planes in zip(*clip.planes, strict=True):
            stacked = np.concatenate([plane.ravel() for plane in planes])
            array = stacked.reshape(clip.height * 3 // 2, clip.width)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, "yuv420p")))
        container.mux(stream.encode(None))


def write_pictures(folder: Path, clip: Clip, pattern: str = "f{}.png") -> None:
    folder.mkdir(parents=True)
    for index, rgb in enumerate(clip_to_rgb(clip)):
        frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
        encoder = av.CodecContext.create("png", "w")
        encoder.width, encoder.height, encoder.pix_fmt = clip.width, clip.height, "rgb24"
        encoder.time_base = Fraction(1, 25)
        (folder / pattern.format(index)).write_bytes(bytes(encoder.encode(frame)[0]))


def same(a: Clip, b: Clip) -> bool:
    return all(np.array_equal(p, q) for p, q in zip(a.planes, b.planes, strict=True))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "mov", "avi"])
def test_containers(tmp_path: Path, clip: Clip, suffix: str) -> None:
    write_lossless(tmp_path / f"a.{suffix}", clip)
    (source,) = find_sources([tmp_path / f"a.{suffix}"])
    loaded, fps = source.load()
    assert same(loaded, clip) and fps == 30 and source.name == f"a.{suffix}"


def test_y4m_and_the_stretch_of_frames(tmp_path: Path, clip: Clip) -> None:
    path = write_y4m(tmp_path / "a.y4m", clip, Fraction(30000, 1001))
    (source,) = find_sources([path], Options(frames=3, start=2))
    loaded, fps = source.load()
    assert same(loaded, clip[2:5]) and fps == Fraction(30000, 1001)
    (late,) = find_sources([path], Options(start=4))
    assert late.load()[0].frames == 2
    (beyond,) = find_sources([path], Options(start=6))
    with pytest.raises(GistcastError, match="no frame 6: choose an earlier start"):
        beyond.load()


def test_cropped_and_scaled() -> None:
    (source,) = find_sources([STREET])
    assert source.load((64, 64))[0].y.shape == (32, 64, 64)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("foreman_352x288_30.yuv", RawVideo(352, 288, Fraction(30))),
        ("akiyo_qcif.yuv", RawVideo(176, 144, Fraction(25))),
        ("bus_cif_15fps.yuv", RawVideo(352, 288, Fraction(15))),
        ("BasketballDrive_1920x1080_50.yuv", RawVideo(1920, 1080, Fraction(50))),
        (
            "Beauty_1920x1080_120fps_420_10bit_YUV.yuv",
            RawVideo(1920, 1080, Fraction(120), "yuv420p10le"),
        ),
        ("a_64x48_24_yuv444p.yuv", RawVideo(64, 48, Fraction(24), "yuv444p")),
        ("a-64x48-23.976-yuv422p10le.yuv", RawVideo(64, 48, Fraction("23.976"), "yuv422p10le")),
        ("a_64x48_8bit_422.yuv", RawVideo(64, 48, Fraction(25), "yuv422p")),
        ("64x48.yuv", RawVideo(64, 48)),
        ("clip2_64x48p30.yuv", RawVideo(64, 48)),
    ],
)
def test_geometry_from_a_name(tmp_path: Path, name: str, raw: RawVideo) -> None:
    path = tmp_path / name
    path.touch()
    with pytest.raises(
        UsageError, match=f"whole frames of {raw.width}x{raw.height} {raw.pixel_format} "
    ):
        raw_of(path, Options())  # empty
    scale = {"yuv420p": 1.5, "yuv420p10le": 3, "yuv444p": 3, "yuv422p": 2, "yuv422p10le": 4}
    with path.open("wb") as file:
        file.truncate(int(raw.width * raw.height * scale[raw.pixel_format]) * 2)
    assert raw_of(path, Options()) == raw


def test_raw_video(tmp_path: Path, clip: Clip) -> None:
    path = tmp_path / "disc_64x48_24.yuv"
    path.write_bytes(frames_to_bytes(clip))
    (source,) = find_sources([path], Options(frames=4, start=1))
    loaded, fps = source.load()
    assert same(loaded, clip[1:5]) and fps == 24
    nameless = path.rename(tmp_path / "disc.bin")
    options = Options(raw=parse_raw("64x48@50"))
    loaded, fps = find_sources([nameless], options)[0].load()
    assert same(loaded, clip) and fps == 50


def test_raw_video_of_the_wrong_geometry(tmp_path: Path, clip: Clip) -> None:
    path = tmp_path / "disc.yuv"
    path.write_bytes(frames_to_bytes(clip))
    with pytest.raises(UsageError, match="needs a geometry: name it as in"):
        find_sources([tmp_path])
    with pytest.raises(UsageError, match="are not whole frames of 64x46"):
        find_sources([path], Options(raw=parse_raw("64x46")))


def test_parse_raw() -> None:
    assert parse_raw("352x288") == RawVideo(352, 288, Fraction(25))
    assert parse_raw("64x48@30000/1001:yuv422p10le") == RawVideo(
        64, 48, Fraction(30000, 1001), "yuv422p10le"
    )
    for text in ("352", "352x288@", "352x288@thirty", "ax3", "352x288:"):
        with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
            parse_raw(text)


def test_untagged_colour_is_a_choice(tmp_path: Path, clip: Clip) -> None:
    path = tmp_path / "disc_64x48.yuv"
    path.write_bytes(frames_to_bytes(clip))
    (source,) = find_sources([path], Options(untagged=Colour.parse("bt601")))
    assert not same(source.load()[0], clip)


def test_pictures_in_natural_order(tmp_path: Path, moving_clip: Make) -> None:
    clip = moving_clip(12, 32, 48)
    write_pictures(tmp_path / "walk", clip)
    (tmp_path / "walk" / "notes.txt").write_text("not a picture")
    (tmp_path / "walk" / ".f0.png").write_text("hidden")
    names = [path.name for path in list_images(tmp_path / "walk")]
    assert names == [f"f{i}.png" for i in range(12)]
    for options, rate in ((Options(), 25), (Options(fps=Fraction(10)), 10)):
        (source,) = find_sources([tmp_path / "walk"], options)
        loaded, fps = source.load()
        assert source.name == "walk" and fps == rate
        assert same(loaded, rgb_to_clip(clip_to_rgb(clip)))
    assert source.load((16, 16))[0].y.shape == (12, 16, 16)


def test_pictures_that_do_not_fit(tmp_path: Path, clip: Clip, moving_clip: Make) -> None:
    write_pictures(tmp_path / "a", clip)
    write_pictures(tmp_path / "b", moving_clip(1, 32, 32))
    (tmp_path / "b" / "f0.png").rename(tmp_path / "a" / "f9.png")
    with pytest.raises(CorruptError, match=r"f9\.png is not of the first picture's size"):
        find_sources([tmp_path / "a"])[0].load()
    (tmp_path / "a" / "f2.png").write_bytes(b"not a png")
    with pytest.raises(CorruptError, match=r"f2\.png"):
        find_sources([tmp_path / "a"])[0].load()
    with pytest.raises(UsageError, match="name the folder that holds the frames"):
        find_sources([tmp_path / "a" / "f0.png"])


def test_folders_are_searched_in_order(tmp_path: Path, clip: Clip) -> None:
    for name in ("b/clip10.y4m", "b/clip9.y4m", "a/clip9.y4m", "c.y4m", ".hidden/d.y4m"):
        write_y4m(tmp_path / name, clip[:1])
    write_pictures(tmp_path / "b" / "still", clip[:1])
    (tmp_path / "b" / "cover.png").write_bytes((tmp_path / "b/still/f0.png").read_bytes())
    names = [source.name for source in find_sources([tmp_path])]
    assert names == ["c.y4m", "a/clip9.y4m", "b/clip9.y4m", "clip10.y4m", "still"]


def test_names_are_unique_and_files_taken_once(tmp_path: Path, clip: Clip) -> None:
    one = write_y4m(tmp_path / "x" / "same" / "a.y4m", clip[:1])
    two = write_y4m(tmp_path / "y" / "same" / "a.y4m", clip[1:2])
    sources = find_sources([one, two, tmp_path / "x" / ".." / "x"])
    assert [source.name for source in sources] == ["x/same/a.y4m", "y/same/a.y4m"]


def test_manifest_as_input(tmp_path: Path, clip: Clip) -> None:
    write_y4m(tmp_path / "val" / "1.y4m", clip)
    rows = [
        {"file": "val/1.y4m", "label": "disc", "caption": "a disc", "licence": "ours", "frames": 6},
        {"file": "val/1.y4m", "start": 3},
    ]
    (tmp_path / "m.json").write_text(json.dumps(rows))
    first, second = find_sources([tmp_path / "m.json"])
    assert (first.name, first.label, first.text) == ("1.y4m@0", "disc", "a disc")
    assert second.name == "1.y4m@3" and second.text is None
    assert first.load()[0].frames == 6 and same(second.load()[0], clip[3:])


def test_manifest_beside_inputs(tmp_path: Path, clip: Clip) -> None:
    for name in ("1", "2", "3"):
        write_y4m(tmp_path / "val" / f"{name}.y4m", clip[:1])
    listed = {"val/1.y4m": "by path", "elsewhere/2.y4m": "by name", "elsewhere/1.y4m": "not me"}
    (tmp_path / "m.json").write_text(json.dumps(listed))
    sources = find_sources([tmp_path / "val"], manifest=tmp_path / "m.json", text="otherwise")
    assert [source.text for source in sources] == ["by path", "by name", "otherwise"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("3", "a manifest is a list of rows"),
        ("[{}]", "row 0: field 'file' must name a video"),
        ("[5]", "row 0: field 'file'"),
        ('[{"file": "a.y4m"}, {"file": "gone.mp4"}]', "row 1: field 'file': nothing at"),
        ('[{"file": "a.y4m", "start": -1}]', "row 0: field 'start' must be a frame number"),
        ('[{"file": "a.y4m", "start": true}]', "row 0: field 'start'"),
        ('[{"file": "a.y4m", "caption": 7}]', "row 0: field 'caption' must be text"),
        ("[]", "no video in"),
    ],
)
def test_bad_manifests(tmp_path: Path, clip: Clip, content: str, message: str) -> None:
    write_y4m(tmp_path / "a.y4m", clip[:1])
    (tmp_path / "m.json").write_text(content)
    with pytest.raises(UsageError, match=message):
        find_sources([tmp_path / "m.json"])


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        find_sources([tmp_path / "gone.mp4"])
    with pytest.raises(UsageError, match="no video in"):
        find_sources([tmp_path])
    with pytest.raises(UsageError, match="no input"):
        find_sources([])
    with pytest.raises(UsageError, match="cannot read the manifest"):
        find_sources([STREET], manifest=tmp_path / "gone.json")
    (tmp_path / "noise.mp4").write_bytes(bytes(1000))
    with pytest.raises(CorruptError, match="cannot read"):
        find_sources([tmp_path])[0].load()


def test_options_are_checked() -> None:
    for wrong in ({"frames": 0}, {"frames": 33}, {"start": -1}, {"fps": Fraction(0)}):
        with pytest.raises(UsageError):
            Options(**wrong)  # type: ignore[arg-type]


def test_natural_order() -> None:
    names = ["a10", "a9", "10", "9", "b", "a"]
    assert sorted(names, key=natural_order) == ["9", "10", "a", "a9", "a10", "b"]


def test_sources_travel_to_other_processes() -> None:
    source = Source("a", Path("a.mp4"), options=Options(raw=RawVideo(16, 16), untagged=Colour(6)))
    assert pickle.loads(pickle.dumps(source)) == source
