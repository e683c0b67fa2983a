"""Every colour a video may come in, against libzimg (ffmpeg's zscale) and swscale."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from gistcast.codec.clip import Clip, Frame
from gistcast.codec.colour import rgb_to_clip
from gistcast.codec.convert import Colour, convert, is_native
from gistcast.codec.errors import UsageError
from gistcast.codec.media import RawVideo, VideoReader, stack

HEIGHT, WIDTH = 96, 128
CODES = {"bt709": 1, "bt601": 6, "bt2020": 9}
ZSCALE = {"bt709": "709", "bt601": "170m", "bt2020": "2020_ncl"}
SWSCALE = {"bt709": "bt709", "bt601": "smpte170m", "bt2020": "bt2020"}

formats = pytest.mark.parametrize(
    "pixel_format",
    ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p12le"],
)
matrices = pytest.mark.parametrize("matrix", CODES)
ranges = pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])


def picture(pixel_format: str, *, full: bool = False, colourful: float = 0.25) -> av.VideoFrame:
    """A smooth picture, so that filters of different lengths agree."""
    frame = av.VideoFrame(WIDTH, HEIGHT, pixel_format)
    for index, (plane, part) in enumerate(zip(frame.planes, frame.format.components, strict=True)):
        y, x = np.mgrid[: part.height, : part.width]
        y, x = y / part.height, x / part.width
        wave = (
            0.35 * np.sin(6 * x + 3 * y),
            colourful * np.sin(4 * x - 3 * y),
            colourful * np.cos(3 * x + 4 * y),
        )[index]
        low, span = (0, 255) if full else (16, 219)
        kind = np.dtype(np.uint8 if part.bits == 8 else "<u2")
        samples = np.rint((low + span * (0.5 + wave)) * 2 ** (part.bits - 8)).astype(kind)
        rows = np.frombuffer(memoryview(plane), kind).reshape(-1, plane.line_size // kind.itemsize)
        rows[: part.height, : part.width] = samples
    return frame


def tagged(frame: av.VideoFrame, matrix: str, full: bool) -> av.VideoFrame:
    frame.colorspace, frame.color_range = CODES[matrix], 2 if full else 1
    return frame


def raw_bytes(frame: av.VideoFrame) -> bytes:
    """The samples without the padding of lines."""
    out = b""
    for plane, part in zip(frame.planes, frame.format.components, strict=False):
        width = part.width * (-(-part.bits // 8) if frame.format.is_planar else 3)
        lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        out += lines[: part.height, :width].tobytes()
    return out


def by_ffmpeg(frame: av.VideoFrame, filters: str) -> Frame:
    """What ffmpeg's own program makes of the frame."""
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    out = subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo"),
            *("-pix_fmt", frame.format.name, "-s", f"{WIDTH}x{HEIGHT}", "-i", "-"),
            *("-vf", filters + ",format=yuv420p", "-f", "rawvideo", "-"),
        ],
        input=raw_bytes(frame),
        capture_output=True,
        check=True,
    ).stdout
    planes = np.split(np.frombuffer(out, np.uint8), [HEIGHT * WIDTH, HEIGHT * WIDTH * 5 // 4])
    half = (HEIGHT // 2, WIDTH // 2)
    return planes[0].reshape(HEIGHT, WIDTH), planes[1].reshape(half), planes[2].reshape(half)


def worst(a: Frame, b: Frame) -> list[int]:
    return [int(np.abs(p.astype(int) - q).max()) for p, q in zip(a, b, strict=True)]


@formats
@matrices
@ranges
def test_agrees_with_zimg(pixel_format: str, matrix: str, full: bool) -> None:
    frame = tagged(picture(pixel_format, full=full), matrix, full)
    filters = (
        f"zscale=matrixin={ZSCALE[matrix]}:matrix=709:rangein={'full' if full else 'limited'}"
        ":range=limited:filter=bilinear:dither=none:chromalin=left:chromal=left"
    )
    luma, *chroma = worst(convert(frame), by_ffmpeg(frame, filters))
    # zimg takes chroma up and down again where it need not
    assert luma <= 1 and max(chroma) <= (2 if matrix != "bt709" else 1)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le"])
@pytest.mark.parametrize("matrix", ["bt709", "bt601"])
@ranges
def test_agrees_with_swscale(pixel_format: str, matrix: str, full: bool) -> None:
    """Colours that RGB can show: swscale clips others on its way through RGB."""
    frame = tagged(picture(pixel_format, full=full, colourful=0.06), matrix, full)
    filters = (
        f"scale=in_color_matrix={SWSCALE[matrix]}:out_color_matrix=bt709:out_range=limited"
        f":in_range={'full' if full else 'limited'}:sws_dither=none"
        ":flags=accurate_rnd+full_chroma_int+full_chroma_inp+bilinear"
    )
    assert max(worst(convert(frame), by_ffmpeg(frame, filters))) <= 2


def test_a_forgotten_matrix_would_be_noticed() -> None:
    frame = tagged(picture("yuv420p"), "bt601", False)
    right = convert(frame)
    frame.colorspace = CODES["bt709"]
    assert worst(convert(frame), right)[0] > 10
    frame.color_range = 2
    assert worst(convert(frame), right)[0] > 10


def test_what_needs_nothing_is_left_alone() -> None:
    frame = picture("yuv420p")
    assert is_native(frame) and raw_bytes(frame) == b"".join(p.tobytes() for p in convert(frame))
    assert not is_native(frame, Colour.parse("bt601"))
    assert not is_native(tagged(frame, "bt601", False), Colour())
    assert is_native(tagged(frame, "bt709", False), Colour.parse("bt601,full"))
    assert not is_native(picture("yuv422p")) and not is_native(av.VideoFrame(16, 16, "rgb24"))


@pytest.mark.parametrize(
    "pixel_format", ["nv12", "yuyv422", "yuv440p", "yuv411p", "yuva420p", "p010le", "yuv422p10be"]
)
def test_packings_do_not_matter(pixel_format: str) -> None:
    planar = tagged(picture("yuv444p10le"), "bt601", False)
    packed = planar.reformat(format=pixel_format, dst_color_range=1)
    packed.colorspace, packed.color_range = planar.colorspace, planar.color_range
    assert max(worst(convert(packed), convert(planar))) <= 3


def test_rgb_takes_the_one_conversion() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    expected = rgb_to_clip(rgb[None])
    for pixel_format in ("rgb24", "bgr24", "gbrp"):
        frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=pixel_format)
        ours = convert(frame)
        assert all(np.array_equal(a, b[0]) for a, b in zip(ours, expected.planes, strict=True)), (
            pixel_format
        )


def test_grey_has_no_colour() -> None:
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
    y, u, v = convert(av.VideoFrame.from_ndarray(ramp, "gray"))
    assert (
        np.array_equal(y, np.rint(ramp.astype(int) * 219 / 255 + 16))
        and np.all(u == 128)
        and np.all(v == 128)
    )
    frame = av.VideoFrame.from_ndarray(ramp, "gray")
    frame.color_range = 1
    assert np.array_equal(convert(frame)[0], ramp)


def test_odd_sides() -> None:
    for pixel_format in ("yuv420p", "yuv422p", "yuv444p"):
        frame = av.VideoFrame(33, 17, pixel_format)
        for plane in frame.planes:
            plane.update(bytes([100]) * plane.buffer_size)
        y, u, v = convert(tagged(frame, "bt601", True))
        assert (y.shape, u.shape, v.shape) == ((17, 33), (9, 17), (9, 17))
        assert len(np.unique(y)) == len(np.unique(u)) == 1


def test_matrices_that_are_not_linear_are_refused() -> None:
    frame = picture("yuv420p")
    frame.colorspace = 8  # YCgCo
    with pytest.raises(UsageError, match="matrix 8"):
        convert(frame)
    for text in ("bt470", "bt601,wide", ""):
        with pytest.raises(UsageError, match="colour is one of"):
            Colour.parse(text)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "rgb24"])
def test_raw_files(tmp_path: Path, pixel_format: str) -> None:
    if pixel_format == "rgb24":
        frame = av.VideoFrame.from_ndarray(
            np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        )
    else:
        frame = picture(pixel_format)
    (tmp_path / "a.yuv").write_bytes(raw_bytes(frame) * 3)
    raw = RawVideo(WIDTH, HEIGHT, Fraction(30000, 1001), pixel_format)
    with VideoReader(tmp_path / "a.yuv", raw=raw) as reader:
        frames = list(reader)
    assert reader.info.fps == raw.fps and len(frames) == 3
    assert all(worst(f, convert(frame)) == [0, 0, 0] for f in frames)
    with VideoReader(tmp_path / "a.yuv", raw=raw, untagged=Colour.parse("bt601")) as reader:
        other = stack(list(reader))
    assert isinstance(other, Clip)
    same = np.array_equal(other.y[0], frames[0][0])
    assert same == (pixel_format == "rgb24")


def test_raw_geometry_that_makes_no_sense() -> None:
    with pytest.raises(UsageError, match="no pixel format"):
        RawVideo(16, 16, Fraction(25), "yuv999")
    with pytest.raises(UsageError, match="0x16"):
        RawVideo(0, 16)


def test_files_that_say_their_colour_are_converted(tmp_path: Path) -> None:
    """BT.601 in, tagged in the H.264 stream, must come out as BT.709."""
    frame = tagged(picture("yuv420p"), "bt601", False)
    path = tmp_path / "sd.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"qp": "0", "preset": "ultrafast"}
        stream.codec_context.colorspace = CODES["bt601"]
        stream.codec_context.color_range = 1
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with VideoReader(path) as reader:
        assert worst(next(iter(reader)), convert(frame)) == [0, 0, 0]
