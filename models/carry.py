"""Frames between coded ones, carried along the motion instead of faded.

    two coded frames --DIS, there and back--> flows
    each frame fetched part of the way along its flow --mixed by time--> a frame between,
        but for where the two do not agree: there it stays the fade that it was

Source of the flow: Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016, as
in OpenCV. A flow is taken where it begins instead of where it passes, which is right while motion
is smooth. Across a cut it leads nowhere; the encoder ends clips at cuts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import Clip, Plane

_SMALLEST = 16  # luma samples a side: two patches of the search
_FINE = 256 * 256  # luma samples of a frame, up to which flow is searched down to single ones

_AROUND = 7  # side of the squares in which agreement is looked at, samples of luma
_GRACE = 2.0  # 8-bit levels: differences below are noise
_TRUST = 3.0  # carried frames are trusted fully where they differ by 1 - 1/3 of the fade's, or less

_Flow = NDArray[np.float32]  # (H, W, 2): x, y


def carry(sketch: Clip, kept: Sequence[int]) -> Clip:
    """A sketch whose frames between coded ones follow the motion.

    Args:
        sketch: what the decoder made of coded frames, fades between them.
        kept: as of `gistcast.codec.protocol.Refiner.refine`; () leaves the sketch as it is.
    """
    few = 2 <= len(kept) < sketch.frames
    if not few or min(sketch.height, sketch.width) < _SMALLEST:
        return sketch
    planes = [plane.copy() for plane in sketch.planes]
    for before, after in pairwise(kept):
        if after - before > 1:
            flows = _flows(sketch.y[before], sketch.y[after])
            for t in range(before + 1, after):
                _place(planes, before, t, after, flows)
    return Clip(*planes)


def _flows(a: Plane, b: Plane) -> tuple[_Flow, _Flow]:
    """Where the samples of a are in b, and those of b in a."""
    search = _search(a.size <= _FINE)
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    return search.calc(a, b, None), search.calc(b, a, None)


@cache
def _search(fine: bool) -> Any:
    import cv2

    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(int(not fine))
    return search


def _place(
    planes: list[Plane], before: int, t: int, after: int, flows: tuple[_Flow, _Flow]
) -> None:
    """Carry two frames of all planes to time t between them."""
    share = (t - before) / (after - before)
    trust: _Flow | None = None
    for plane in planes:
        there, back = (_scaled(flow, *plane.shape[1:]) for flow in flows)
        a = _fetch(plane[before], -share * there)
        b = _fetch(plane[after], -(1 - share) * back)
        if trust is None:  # luma says it for all
            trust = _trust(a - b, plane[before].astype(np.float32) - plane[after])
        part = _scaled(trust, *plane.shape[1:])
        mixed = part * ((1 - share) * a + share * b) + (1 - part) * plane[t]
        plane[t] = np.clip(np.rint(mixed), 0, 255)


def _trust(carried: _Flow, still: _Flow) -> _Flow:
    """(H, W) 0..1: how much less two frames differ when they are carried."""
    import cv2

    after, before = (cv2.blur(np.abs(d), (_AROUND, _AROUND)) for d in (carried, still))
    return np.asarray(np.clip(_TRUST * (1 - after / (before + _GRACE)), 0, 1), np.float32)


def _scaled(flow: _Flow, height: int, width: int) -> _Flow:
    """A flow of luma as one of a plane of another size; or what has no direction."""
    import cv2

    if flow.shape[:2] == (height, width):
        return flow
    sized = cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA)
    lengths = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
    return np.asarray(sized * lengths if flow.ndim == 3 else sized)


def _fetch(picture: Plane, flow: _Flow) -> _Flow:
    """A picture read where `flow` leads, cubically."""
    import cv2

    height, width = picture.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    source = np.ascontiguousarray(picture, np.float32)
    at = x + flow[..., 0], y + flow[..., 1]
    fetched = cv2.remap(source, *at, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(fetched, np.float32)
