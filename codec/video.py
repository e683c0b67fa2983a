"""The sketch as AV1: some frames of a clip, coded by SVT-AV1 and decoded by dav1d.

    clip --keep--> frames --SVT-AV1--> units --pack--> video layers
    video layers --unpack--> units --dav1d--> frames --fill--> clip

Decoding is exact: AV1 is defined in integers, and so is the filling here. The native decoder sees
no byte of a header that did not come out of `av1` and `av1frame`, so it can meet no other frame
size than the stream's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence as Many
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import numpy as np

from gistcast.codec.av1 import (
    CODED_FRAMES,
    FRAME,
    FRAME_HEADER,
    SEQUENCE,
    Sequence,
    Step,
    UnsupportedError,
    output,
    parse_sequence,
    split,
    structures,
)
from gistcast.codec.clip import Clip
from gistcast.codec.errors import CorruptError
from gistcast.codec.fade import fill, kept_frames
from gistcast.codec.layers import Layers
from gistcast.codec.media import (
    Frame,
    frame_planes,
    ordinary_priority,
    planes_to_frame,
    stack,
)
from gistcast.codec.packet import VIDEO, VIDEO_LAYERS, get_varint, put_varint
from gistcast.codec.quantiser import luma_step
from gistcast.codec.videocoder import Model, pack, unpack

if TYPE_CHECKING:
    import av

_LEAST_SIDE = 16  #: samples; smaller frames are extended
_RESIDUAL_QUANTISER = 0.55  # a residual's over base_q_idx, at the same lambda, as measured
_LAYER_BYTES = 1000  # a layer is cut where it reaches this


def coded_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the AV1 frames: even, and at least 16."""
    return max(_LEAST_SIDE, width + width % 2), max(_LEAST_SIDE, height + height % 2)


@dataclass(frozen=True)
class Units:
    """The AV1 of a clip.

    Attributes:
        kept: coded frames.
        variant: which structure.
        sequence: sequence header.
        units: (type, payload), one for each step of the structure.
    """

    kept: int
    variant: int
    sequence: Sequence
    units: tuple[tuple[int, bytes], ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        return structures()[self.variant, self.kept]

    def layers(self) -> Layers:
        """Payloads of the video layers; the size decides how many.

        Raises:
            UnsupportedError: the encoder did what the format has no words for.
        """
        if len(self.units) != len(self.steps):
            raise UnsupportedError(f"{len(self.units)} units for {len(self.steps)} steps")
        head = bytes([CODED_FRAMES.index(self.kept) | self.variant << 3 | self.sequence.tools << 4])
        layers, model, start = Layers(), Model(), 0
        for stop in self._cuts():
            rest = 0 if stop == len(self.steps) else stop - start
            body = pack(self.units[start:stop], self.steps[start:stop], self.sequence, model)
            payload = (b"" if start else head) + put_varint(rest) + body
            layers.append((VIDEO + len(layers), payload))
            start = stop
        return layers

    def _cuts(self) -> list[int]:
        """Steps at which layers end."""
        sizes = np.cumsum([len(payload) for _, payload in self.units])
        count = min(VIDEO_LAYERS, max(1, int(sizes[-1] // _LAYER_BYTES)))
        ends = {int(np.searchsorted(sizes, sizes[-1] * k / count)) + 1 for k in range(1, count)}
        return sorted({*(end for end in ends if end < len(self.units)), len(self.units)})


def encode(clip: Clip, kept: int, crf: float, preset: int, *, even: bool = False) -> Units:
    """Code some frames of a clip.

    Args:
        kept: how many; one of `CODED_FRAMES`, at most the clip's.
        crf: quality from 1 (best) to 70, in quarters.
        preset: of SVT-AV1, -1 (slow) to 8.
        even: frames that others refer to are favoured less over these than usual.

    Raises:
        UnsupportedError: the encoder is missing, failed, or did what `layers` cannot say.
    """
    import av

    frames = [_extended(clip, at) for at in kept_frames(clip.frames, kept)]
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 has no other way to stop its banner
    try:
        context = av.CodecContext.create("libsvtav1", "w")
        context.width, context.height = coded_size(clip.width, clip.height)
        context.pix_fmt, context.thread_count = "yuv420p", 1
        context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
        context.options = {
            "preset": str(preset),
            "svtav1-params": _parameters(clip, kept, crf, even),
        }
        packets = []
        for index, planes in enumerate(frames):
            frame = planes_to_frame(planes)
            frame.pts, frame.time_base = index, context.time_base
            packets += context.encode(frame)
        packets += context.encode(None)
    except (av.FFmpegError, ValueError) as error:
        raise UnsupportedError(f"SVT-AV1 failed: {error}") from error
    finally:
        ordinary_priority()
    units = [unit for packet in packets for unit in split(bytes(packet))]
    headers = [payload for kind, payload in units if kind == SEQUENCE]
    if not headers:
        raise UnsupportedError("no sequence header")
    sequence = parse_sequence(headers[0])
    if (sequence.width, sequence.height) != coded_size(clip.width, clip.height):
        raise UnsupportedError("another frame size")
    coded = tuple(unit for unit in units if unit[0] in (FRAME, FRAME_HEADER))
    return Units(kept, int(preset > _LAST_OF_VARIANT_0), sequence, coded)


_LAST_OF_VARIANT_0 = 4  # presets above refresh other slots


#: Luma samples of a frame, up to which SVT-AV1's deblocking costs more bytes than it saves.
_UNDEBLOCKED = 128 * 128


def _parameters(clip: Clip, kept: int, crf: float, even: bool) -> str:
    """SVT-AV1's own options: one key frame, tuned for PSNR, one thread."""
    out = f"crf={crf:g}:tune=1:lookahead=32:keyint=-1:scd=0:scm=0:lp=1"
    if clip.width * clip.height <= _UNDEBLOCKED:
        out += ":enable-dlf=0"
    if even:
        out += f":qp-scale-compress-strength={3 if kept <= 8 else 2}"
    return out


def _extended(clip: Clip, at: int) -> Frame:
    """One frame, its last row and column repeated up to the coded size."""
    width, height = coded_size(clip.width, clip.height)
    sides = ((height, width), (height // 2, width // 2), (height // 2, width // 2))
    y, u, v = (
        np.pad(p[at], ((0, h - p.shape[1]), (0, w - p.shape[2])), mode="edge")
        for p, (h, w) in zip(clip.planes, sides, strict=True)
    )
    return y, u, v


def kept_of(payload: bytes) -> int:
    """How many frames a clip's first video layer codes; 0 if it is not one."""
    index = payload[0] & 7
    return CODED_FRAMES[index] if index < len(CODED_FRAMES) else 0


@dataclass(frozen=True)
class Video:
    """What video layers decode to.

    Attributes:
        kept: frames that the clip's structure codes.
        times: those of them that came.
        units: OBUs that were handed to the AV1 decoder, in order.
        clip: all frames.
        layers: how many layers were used.
        quantiser: mean base_q_idx of the coded frames.
        complete: whether nothing of the structure is missing.
    """

    kept: int
    times: tuple[int, ...]
    units: tuple[bytes, ...]
    clip: Clip
    layers: int
    quantiser: float
    complete: bool

    @property
    def step(self) -> float:
        """Luma step, on the 8-bit scale, that stage 2 is told: that of the residual that is chosen
        at the same lambda."""
        return luma_step(round(_RESIDUAL_QUANTISER * self.quantiser))


def decode(payloads: Many[bytes], frames: int, height: int, width: int) -> Video:
    """Decode the first video layers of a clip; what they leave out is filled in.

    Raises:
        CorruptError: a layer is damaged.
    """
    if not payloads[0]:
        raise CorruptError("video is empty", field="video", offset=0)
    head, kept = payloads[0][0], kept_of(payloads[0])
    if not kept or kept > frames:
        raise CorruptError(
            f"no structure {head & 7} of {frames} frames", field="structure", offset=0
        )
    steps = structures()[head >> 3 & 1, kept]
    sequence = Sequence(*coded_size(width, height), head >> 4)
    units, done, model = list[bytes](), 0, Model()
    for index, payload in enumerate(payloads):
        count, at = get_varint(payload, int(index == 0), len(steps) - done, "steps")
        count = count or len(steps) - done
        units += unpack(payload[at:], steps[done : done + count], sequence, model)
        done += count
    orders, late = output(steps[:done])
    units += unpack(b"", late, sequence, model)
    pictures = _native(units, sequence)
    if len(pictures) != len(orders):
        raise CorruptError(f"{len(pictures)} of {len(orders)} frames came out", field="video")
    times = tuple(kept_frames(frames, kept)[order] for order in sorted(orders))
    ordered = stack([pictures[orders.index(order)] for order in sorted(orders)])
    y, u, v = (fill(plane, times, frames) for plane in ordered.planes)
    chroma = np.s_[:, : (height + 1) // 2, : (width + 1) // 2]
    clip = Clip(y[:, :height, :width], u[chroma], v[chroma])
    last = len(payloads), model.mean_quantiser, done == len(steps)
    return Video(kept, times, tuple(units), clip, *last)


def _native(units: Many[bytes], sequence: Sequence) -> list[Frame]:
    """Frames of AV1 units, in the order in which they are shown."""
    import av

    pictures: list[av.VideoFrame] = []
    size = sequence.width, sequence.height
    try:
        context = cast("av.VideoCodecContext", av.CodecContext.create("libdav1d", "r"))
        context.thread_count = 1
        context.options = {"max_pixels": str(size[0] * size[1])}
        for index, unit in enumerate(units):
            pictures += context.decode(av.Packet(unit if index else sequence.to_obu() + unit))
        pictures += context.decode(None)
    except (av.FFmpegError, ValueError) as error:
        raise CorruptError(f"AV1 cannot be decoded: {error}", field="video") from error
    if any((p.width, p.height, p.format.name) != (*size, "yuv420p") for p in pictures):
        raise CorruptError("an AV1 frame of another size or format came out", field="video")
    return [frame_planes(picture) for picture in pictures]
