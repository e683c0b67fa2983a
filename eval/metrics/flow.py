"""Motion by optical flow: does it go where the source goes, and does the picture go with it?

    flow of the decoded clip --against the source's--> flow_error
    what changes in the decoded clip along the source's flow --> warp_error
    that - the same of the source --> warp_excess

Flow and sources: `gistcast.models.flow`.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from gistcast.eval.metrics.view import Value, View
from gistcast.models.flow import SMALLEST, Passage, flows, rms


class OpticalFlow:
    """Flow of decoded clips against that of the reference, which is searched once."""

    def __init__(self, reference: View, fps: Fraction) -> None:
        self._passage = Passage(reference.clip.y)

    def measure(self, decoded: View, wanted: frozenset[str]) -> dict[str, Value]:
        """`flow_error`, `warp_error` and `warp_excess`; None for a single or a tiny frame."""
        clip = decoded.clip
        if clip.frames < 2 or min(clip.height, clip.width) < SMALLEST:
            return dict.fromkeys(wanted)
        found: dict[str, Value] = {}
        if "flow_error" in wanted:
            apart = flows(clip.y) - self._passage.flow
            found["flow_error"] = float(np.sqrt((apart**2).sum(-1)).mean())
        if {"warp_error", "warp_excess"} & wanted:
            change = self._passage.change(clip.y)
            found["warp_error"] = rms(change)
            found["warp_excess"] = rms(change - self._passage.own_change)
        return found
