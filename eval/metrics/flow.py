"""Motion by optical flow: does it go where the source goes, and does the picture go with it?

    luma t, t+1 --DIS--> where every pixel of t goes --compare--> flow_error
    decoded t - decoded t+1 fetched along the source's flow, where it can be seen --> warp_error
    that - the same of the source --> warp_excess

Sources: Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016, as in OpenCV;
Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018 (warping error); Ruder et al.,
"Artistic Style Transfer for Videos", GCPR 2016, eq. 5 (what is hidden).
"""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gistcast.eval.metrics.view import Value, View, changed

SMALLEST = 16  #: pixels a side: two of the search's patches

Flow = NDArray[np.float32]


class OpticalFlow:
    """Flow of decoded clips against that of the reference, which is searched once."""

    def __init__(self, reference: View, fps: Fraction) -> None:
        self._luma = reference.clip.y

    def measure(self, decoded: View, wanted: frozenset[str]) -> dict[str, Value]:
        """`flow_error`, `warp_error` and `warp_excess`; None for a single or a tiny frame."""
        clip = decoded.clip
        if clip.frames < 2 or min(clip.height, clip.width) < SMALLEST:
            return dict.fromkeys(wanted)
        found: dict[str, Value] = {}
        if "flow_error" in wanted:
            apart = flows(clip.y) - self._flow
            found["flow_error"] = float(np.sqrt((apart**2).sum(-1)).mean())
        if {"warp_error", "warp_excess"} & wanted:
            change = self._change(clip.y)
            found["warp_error"] = _rms(change)
            found["warp_excess"] = _rms(change - self._own_change)
        return found

    @cached_property
    def _flow(self) -> Flow:
        return flows(self._luma)

    @cached_property
    def _visible(self) -> NDArray[np.bool_]:
        return visible(self._flow, flows(self._luma[::-1])[::-1])

    @cached_property
    def _own_change(self) -> Flow:
        return self._change(self._luma)

    def _change(self, luma: NDArray[np.uint8]) -> Flow:
        """What changes along the reference's flow, of every pixel that stays visible, (n,)."""
        fetched = np.stack([fetch(y, f) for y, f in zip(luma[1:], self._flow, strict=True)])
        change: Flow = (luma[:-1].astype(np.float32) - fetched)[self._visible]
        return change


def _rms(x: Flow) -> float:
    """Root mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(x.astype(np.float64) ** 2))) if x.size else float("nan")


def flows(luma: NDArray[np.uint8]) -> Flow:
    """Where the pixels of each frame are in the next: uint8 (T, H, W) -> (T-1, H, W, 2) (x, y)."""
    search = _search()
    out = np.zeros((len(luma) - 1, *luma.shape[1:], 2), np.float32)
    for t in np.flatnonzero(changed(luma)[1:]):  # a held frame has not moved
        a, b = (np.ascontiguousarray(frame) for frame in (luma[t], luma[t + 1]))
        out[t] = search.calc(a, b, None)
    return out


def _search() -> Any:
    """DIS down to single pixels: small frames have none to spare."""
    import cv2

    cv2.setNumThreads(1)  # the lab runs a process a core
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    return search


def fetch(picture: NDArray[Any], flow: Flow) -> Flow:
    """A picture (H, W) or (H, W, C) read where `flow` (H, W, 2) leads, bilinearly; float32."""
    import cv2

    at = _grid(flow) + flow
    source = np.ascontiguousarray(picture, np.float32)
    nowhere = np.empty((0, 0), np.float32)  # no second map: `at` has both coordinates
    fetched = cv2.remap(source, at, nowhere, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(fetched, np.float32)


def visible(forward: Flow, backward: Flow) -> NDArray[np.bool_]:
    """Pixels that the next frame shows: there and back again ends where it began, in the frame.

    Args:
        forward, backward: (N, H, W, 2), from t to t+1 and from t+1 to t.
    """
    height, width = forward.shape[1:3]
    kept = []
    for there, back in zip(forward, backward, strict=True):
        returned = fetch(back, there)
        apart = ((there + returned) ** 2).sum(-1)
        allowed = 0.01 * ((there**2).sum(-1) + (returned**2).sum(-1)) + 0.5
        at = _grid(there) + there
        inside = (at >= 0).all(-1) & (at[..., 0] <= width - 1) & (at[..., 1] <= height - 1)
        kept.append((apart <= allowed) & inside)
    return np.stack(kept)


def _grid(flow: Flow) -> Flow:
    """(x, y) of every pixel, (H, W, 2)."""
    rows, columns = flow.shape[:2]
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    grid: Flow = np.stack([x, y], -1).astype(np.float32)
    return grid
