"""Scores of timelines, with pictures kept from one to the next."""

from __future__ import annotations

import numpy as np
import pytest

from gistcast.eval import timeline
from gistcast.scores import TimelineScores


@pytest.mark.parametrize("kept_bytes", [0, 4_000_000, 1 << 30])
def test_scores_are_those_of_the_timeline_whatever_was_seen_before(kept_bytes: int) -> None:
    """Of a source that shows its frames twice, with and without room to keep features."""
    rng = np.random.default_rng(1)
    once = rng.integers(0, 255, (3, 64, 64, 3), np.uint8)
    reference = np.concatenate([once, once])
    delivered = np.clip(reference[:4].astype(int) + 9, 0, 255).astype(np.uint8)
    scores = TimelineScores(reference, kept_bytes=kept_bytes)
    for frames in ([0, 1, 2, 3, 3, 3], [-1, 0, 1, 2, 3, 3], [3, 2, 1, 0, 0, 1]):
        shown = timeline.Shown(np.array(frames), np.array(frames))
        wanted = timeline.quality(shown, delivered, reference)
        assert scores.of(shown, delivered) == pytest.approx(wanted, rel=1e-5)
