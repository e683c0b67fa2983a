"""The library's door: what it refuses, it says."""

import numpy as np
import pytest

import gistcast
from gistcast.codec.errors import UsageError


@pytest.mark.parametrize(
    "frames", ["in.mp4", np.zeros((8, 8, 3), np.uint8), np.zeros((0, 8, 8, 3))]
)
def test_only_frames_are_frames(frames: object) -> None:
    with pytest.raises(UsageError, match="frames must be a uint8 array"):
        gistcast.encode(frames)  # type: ignore[arg-type]


@pytest.mark.parametrize("also", [{"quality": 40.0}, {"clip_bytes": 300}, {"text": "golf"}])
def test_settings_are_not_mixed_with_others(also: dict[str, object]) -> None:
    frames = np.zeros((1, 16, 16, 3), np.uint8)
    with pytest.raises(UsageError, match=f"{next(iter(also))} belongs into them"):
        gistcast.encode(frames, settings=gistcast.EncodeSettings(), **also)  # type: ignore[arg-type]
