"""The viewer that encoders code for."""

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.models.flow import Passage
from gistcast.models.lpips import load_lpips
from gistcast.models.viewer import LpipsViewer
from gistcast.models.zoo import load_viewer


class Plain:
    """Stage 2 that shows the sketch, and notes what it was told."""

    def __init__(self) -> None:
        self.told: list[dict[str, object]] = []
        self.sizes: list[tuple[int, int]] = []

    def refine(self, sketch: Clip, **told: object) -> Clip:
        self.told.append(told)
        self.sizes.append((sketch.height, sketch.width))
        return sketch


def _blurred(clip: Clip) -> Clip:
    y = clip.y.astype(np.float32)
    y = sum(np.roll(y, shift, axis) for axis in (1, 2) for shift in (-2, -1, 1, 2)) / 8
    return Clip(y.astype(np.uint8), clip.u, clip.v)


def _frozen(clip: Clip) -> Clip:
    return Clip(*(np.repeat(p[:1], clip.frames, 0) for p in clip.planes))


def test_nearer_is_nearer(make_clip) -> None:
    clip, plain = make_clip(frames=8), Plain()
    viewer = LpipsViewer(plain, load_lpips("alex"))
    found = [
        viewer.distance(clip, sketch, step=30.0, kept=(1, 3, 5, 7))
        for sketch in (clip, _blurred(clip), _blurred(_blurred(clip)))
    ]
    assert found[0] < 1e-5 < found[1] < found[2]
    assert {(t["step"], t["kept"], t["mode"]) for t in plain.told} == {
        (30.0, (1, 3, 5, 7), "balanced")
    }


def test_a_frozen_picture_is_seen_to_stand_still(make_clip) -> None:
    clip = make_clip(frames=8)
    frozen = {
        weight: LpipsViewer(Plain(), load_lpips("alex"), motion=weight).distance(
            clip, _frozen(clip), step=1.0, kept=(4,)
        )
        for weight in (0.0, 0.5)
    }
    assert 0.3 < frozen[0.5] - frozen[0.0] < 0.5001  # motion that is all wrong counts in full


def test_flicker_counts_beyond_the_clips_own(make_clip) -> None:
    clip = make_clip(frames=8, height=64, width=64)
    y = clip.y.astype(np.int16)
    y[::2] += 6  # the light flickers; LPIPS of every fourth frame hardly sees it
    lit = Clip(np.clip(y, 0, 255).astype(np.uint8), clip.u, clip.v)
    found = {
        (weight, name): LpipsViewer(
            Plain(), load_lpips("alex"), motion=0.0, flicker=weight
        ).distance(clip, shown, step=1.0, kept=())
        for weight in (0.0, 1.0)
        for name, shown in (("lit", lit), ("itself", clip))
    }
    passage = Passage(clip.y)
    beyond = passage.error(lit.y) - passage.own_error
    assert beyond > 2
    assert found[1.0, "lit"] - found[0.0, "lit"] == pytest.approx(beyond, rel=1e-5)
    assert found[1.0, "itself"] == pytest.approx(found[0.0, "itself"], abs=1e-6)


@pytest.mark.parametrize(("height", "width"), [(240, 320), (33, 900)])
def test_of_large_frames_windows_are_seen(make_clip, height: int, width: int) -> None:
    clip, plain = make_clip(frames=2, height=height, width=width), Plain()
    viewer = LpipsViewer(plain, load_lpips("alex"))
    assert viewer.distance(clip, clip, step=1.0, kept=()) < 1e-5
    assert plain.sizes == [(min(80, height), 80)] * 4
    # whatever quarter is spoilt, it is noticed
    for rows in (slice(None, height // 2), slice(height // 2, None)):
        for columns in (slice(None, width // 2), slice(width // 2, None)):
            y = clip.y.copy()
            y[:, rows, columns] //= 2
            assert viewer.distance(clip, Clip(y, clip.u, clip.v), step=1.0, kept=()) > 0.01


def test_the_bundled_one_shows_what_stage_2_makes_of_it(street: Clip) -> None:
    viewer = load_viewer()
    exact = viewer.distance(street, street, step=0.5, kept=())
    assert exact < viewer.distance(street, street, step=300.0, kept=())
    assert exact < viewer.distance(street, _blurred(street), step=60.0, kept=())
