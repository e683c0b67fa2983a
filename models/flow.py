"""Where the pixels of a clip go, and what else changes on the way: optical flow.

    luma t, t+1 --DIS--> where every pixel of t goes; where it can be seen in t+1
    any clip's t - its t+1 fetched along that flow --> what flickers

Sources: Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016, as in OpenCV;
Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018 (warping error); Ruder et al.,
"Artistic Style Transfer for Videos", GCPR 2016, eq. 5 (what is hidden).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST = 16  #: pixels a side: two of the search's patches

Flow = NDArray[np.float32]


class Passage:
    """A clip's motion, searched once, and what changes along it in this clip or another.

    Args:
        luma: (T, H, W) uint8; at least two frames of `SMALLEST` pixels a side.
    """

    def __init__(self, luma: NDArray[np.uint8]) -> None:
        self._luma = luma

    @cached_property
    def flow(self) -> Flow:
        """(T-1, H, W, 2): see `flows`."""
        return flows(self._luma)

    @cached_property
    def _visible(self) -> NDArray[np.bool_]:
        return visible(self.flow, flows(self._luma[::-1])[::-1])

    @cached_property
    def own_change(self) -> Flow:
        """`change` of the clip itself."""
        return self.change(self._luma)

    @cached_property
    def own_error(self) -> float:
        """`error` of the clip itself."""
        return rms(self.own_change)

    def change(self, luma: NDArray[np.uint8]) -> Flow:
        """What changes along the flow, of every pixel that stays visible: (n,), 8-bit levels.

        Args:
            luma: of a clip of the same geometry.
        """
        fetched = np.stack([fetch(y, f) for y, f in zip(luma[1:], self.flow, strict=True)])
        change: Flow = (luma[:-1].astype(np.float32) - fetched)[self._visible]
        return change

    def error(self, luma: NDArray[np.uint8]) -> float:
        """Warping error of a clip of the same geometry, 8-bit levels; NaN where nothing stays."""
        return rms(self.change(luma))


def rms(x: Flow) -> float:
    """Root mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(x.astype(np.float64) ** 2))) if x.size else float("nan")


def flows(luma: NDArray[np.uint8]) -> Flow:
    """Where the pixels of each frame are in the next: uint8 (T, H, W) -> (T-1, H, W, 2) (x, y)."""
    search = _search()
    out = np.zeros((len(luma) - 1, *luma.shape[1:], 2), np.float32)
    moved = (luma[1:] != luma[:-1]).any((1, 2))
    for t in np.flatnonzero(moved):  # a held frame has not moved
        a, b = (np.ascontiguousarray(frame) for frame in (luma[t], luma[t + 1]))
        out[t] = search.calc(a, b, None)
    return out


def _search() -> Any:
    """DIS down to single pixels: small frames have none to spare."""
    import cv2

    cv2.setNumThreads(1)  # who looks at many clips runs a process a core
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
