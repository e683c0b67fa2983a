"""Whatever colour a video arrives in -> 8-bit 4:2:0 BT.709 limited range, with one rounding.

    RGB ------------------------- 8 bits ----------------> colour.rgb_to_clip
    planes -depth, range-> Y'CbCr, 0..1 -matrix-> BT.709 -4:2:0-> 8 bits

Between two such matrices chroma becomes a mix of chroma alone, so 4:2:0 chroma is never resampled;
luma takes a share of the interpolated chroma. swscale goes through 8-bit RGB here, clips what RGB
cannot show and dithers 10-bit samples. Primaries and transfer are left as they are: HDR is not
tone-mapped.

Source: ITU-T H.273, tables 4 (matrix coefficients) and the equations 20 to 35 (range).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import Frame, Plane
from gistcast.codec.colour import Float, rgb_to_clip, subsample, upsample, upsample_across
from gistcast.codec.errors import UsageError

if TYPE_CHECKING:
    import av

#: (K_R, K_B) of the matrices, by their code in H.273; 2 is "unspecified"
_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
_UNSPECIFIED, _BT709 = 2, 1
_FULL = 2  # FFmpeg's AVCOL_RANGE_JPEG
_MATRICES = {"bt709": 1, "fcc": 4, "bt601": 6, "smpte240m": 7, "bt2020": 9}
_SIDES = {(0, 0): "444", (1, 0): "422", (1, 1): "420"}  # halvings across and down


@dataclass(frozen=True)
class Colour:
    """What untagged video is taken to be.

    Attributes:
        matrix: code of H.273: 1 is BT.709, 6 is BT.601, 9 is BT.2020.
        full: full range (0..255) rather than limited (16..235).
    """

    matrix: int = _BT709
    full: bool = False

    def __post_init__(self) -> None:
        if self.matrix not in _WEIGHTS:
            raise UsageError(f"colour matrix {self.matrix} is not supported")

    @classmethod
    def parse(cls, text: str) -> Colour:
        """From `bt601`, `bt709,full`, ...

        Raises:
            UsageError: there is no such matrix or range.
        """
        matrix, _, extent = text.partition(",")
        if matrix not in _MATRICES or extent not in ("", "limited", "full"):
            names = ", ".join(sorted(_MATRICES))
            raise UsageError(f"colour is one of {names}, then ',full' or nothing, not {text!r}")
        return cls(_MATRICES[matrix], extent == "full")


def is_native(frame: av.VideoFrame, untagged: Colour | None = None) -> bool:
    """Whether the frame's planes can be taken as they are."""
    return frame.format.name == "yuv420p" and colour_of(frame, untagged) == Colour()


def colour_of(frame: av.VideoFrame, untagged: Colour | None = None) -> Colour:
    """Matrix and range of a Y'CbCr or grey frame: its tags, then `untagged`, then BT.709 limited.

    Raises:
        UsageError: a matrix that is not supported (YCgCo, constant luminance, ICtCp).
    """
    assumed = untagged or Colour()
    matrix, extent = int(frame.colorspace), int(frame.color_range)
    grey = len(frame.format.components) == 1
    full = extent == _FULL if extent else assumed.full
    if frame.format.name.startswith("yuvj") or (grey and not extent):
        full = True  # FFmpeg's names for JPEG, and its reading of untagged grey pictures
    return Colour(assumed.matrix if matrix == _UNSPECIFIED or grey else matrix, full)


def convert(frame: av.VideoFrame, untagged: Colour | None = None) -> Frame:
    """Planes of any frame in 8-bit 4:2:0 BT.709 limited range.

    Args:
        frame: RGB, grey or Y'CbCr of any depth and subsampling that FFmpeg knows.
        untagged: what a frame without tags is.

    Raises:
        UsageError: its colour matrix is not supported.
    """
    kind = frame.format
    if kind.is_rgb or kind.has_palette or kind.is_bit_stream:
        rgb = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        y, u, v = rgb_to_clip(rgb[None]).planes
        return y[0], u[0], v[0]
    colour = colour_of(frame, untagged)
    luma, *chroma = _unit_planes(frame, colour.full)
    if not chroma:
        half = ((luma.shape[0] + 1) // 2, (luma.shape[1] + 1) // 2)
        none = np.full(half, 128, np.uint8)
        return _to_bytes(luma, 219, 16), none, none
    cb, cr = chroma
    if colour.matrix != _BT709:
        (a, b), *mix = _to_bt709(colour.matrix)
        luma = luma + a * _full_size(cb, luma) + b * _full_size(cr, luma)
        cb, cr = (row[0] * cb + row[1] * cr for row in mix)
    return (
        _to_bytes(luma, 219, 16),
        _to_bytes(_half_size(cb, luma), 224, 128),
        _to_bytes(_half_size(cr, luma), 224, 128),
    )


def _unit_planes(frame: av.VideoFrame, full: bool) -> list[Float]:
    """Luma on 0..1 and chroma, if any, on -0.5..0.5."""
    components = frame.format.components
    bits = components[0].bits
    name = "gray"
    if len(components) > 1:
        sides = (
            _halvings(frame.width, components[1].width),
            _halvings(frame.height, components[1].height),
        )
        name = f"yuv{_SIDES.get(sides, '444')}p"  # what is rarer is brought to 4:4:4
    if bits > 8:
        name += f"{bits}le"
    if frame.format.name not in (name, name.replace("yuv", "yuvj")):
        frame = frame.reformat(format=name)  # unpacks; the samples stay
    scale = float(2 ** (bits - 8))
    top = (2**bits - 1) / scale  # where full range ends
    low, luma_span, chroma_span = (0.0, top, top) if full else (16.0, 219.0, 224.0)
    planes = [_samples(frame, i, bits) / np.float32(scale) for i in range(len(frame.planes))]
    luma = (planes[0] - np.float32(low)) / np.float32(luma_span)
    return [luma, *[(plane - np.float32(128)) / np.float32(chroma_span) for plane in planes[1:3]]]


def _halvings(whole: int, part: int) -> int:
    return 0 if part == whole else 1 if part == (whole + 1) // 2 else 2


def _samples(frame: av.VideoFrame, index: int, bits: int) -> Float:
    """A plane's samples as float32 (H, W)."""
    plane = frame.planes[index]
    kind = np.dtype(np.uint8 if bits <= 8 else "<u2")
    rows = np.frombuffer(memoryview(plane), kind).reshape(-1, plane.line_size // kind.itemsize)
    return np.asarray(rows[: plane.height, : plane.width], np.float32)


def _to_bt709(matrix: int) -> NDArray[np.float32]:
    """(3, 2): shares of Cb and Cr in BT.709's luma, Cb and Cr."""
    mixed = _rgb_to_yuv(*_WEIGHTS[_BT709]) @ np.linalg.inv(_rgb_to_yuv(*_WEIGHTS[matrix]))
    return np.asarray(mixed[:, 1:], np.float32)


def _rgb_to_yuv(kr: float, kb: float) -> NDArray[np.float64]:
    luma = np.array([kr, 1 - kr - kb, kb])
    blue = (np.array([0, 0, 1]) - luma) / (2 * (1 - kb))
    red = (np.array([1, 0, 0]) - luma) / (2 * (1 - kr))
    return np.stack([luma, blue, red])


def _full_size(chroma: Float, luma: Float) -> Float:
    """Chroma at luma's size."""
    height, width = luma.shape
    if chroma.shape == luma.shape:
        return chroma
    if chroma.shape[0] == height:  # 4:2:2
        return upsample_across(chroma, width)
    return upsample(chroma, height, width)


def _half_size(chroma: Float, luma: Float) -> Float:
    """Chroma of 4:4:4 or 4:2:2 at half luma's size; 4:2:0 stays."""
    height, width = luma.shape
    if chroma.shape == ((height + 1) // 2, (width + 1) // 2):
        return chroma
    if chroma.shape[1] == width:
        return subsample(chroma)
    if height % 2:
        chroma = np.concatenate([chroma, chroma[-1:]])
    return np.asarray((chroma[0::2] + chroma[1::2]) / 2, np.float32)


def _to_bytes(plane: Float, span: float, offset: float) -> Plane:
    levels = np.rint(plane * np.float32(span) + np.float32(offset))
    return np.asarray(np.clip(levels, 0, 255), np.uint8)
