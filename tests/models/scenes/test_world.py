"""The world of scenes: splits, draws, captions and exact arithmetic."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from gistcast.codec.errors import UsageError
from gistcast.models.scenes import (
    ACTIONS,
    HELD_OUT,
    SPLITS,
    SURROUNDINGS,
    WEATHER,
    choose,
    label,
    sample_scene,
    split,
)
from gistcast.models.scenes.camera import MOTIONS
from gistcast.models.scenes.draws import Domain, Draws
from gistcast.models.scenes.exact import cosine, keyed, log2, sine, smooth
from gistcast.models.scenes.pen import elbow


def test_held_out_combinations_cover_every_action_and_every_surroundings() -> None:
    assert len(HELD_OUT) == 15
    assert {("golf", "pool"), ("sailing", "snow")} <= HELD_OUT
    for part, names in ((0, ACTIONS), (1, SURROUNDINGS)):
        counts = Counter(pair[part] for pair in HELD_OUT)
        assert set(counts) == set(names)
        # all the rest of its row or column is there to learn from
        assert max(counts.values()) <= 2


def test_splits_are_what_they_say() -> None:
    parts = {part: list(islice(choose(3, part), 40)) for part in SPLITS}
    for part, scenes in parts.items():
        assert {scene.split for scene in scenes} == {part}
        combinations = {(s.action, s.surroundings) for s in scenes}
        assert (combinations <= HELD_OUT) == (part == "held-out")
    numbers = [scene.index for scenes in parts.values() for scene in scenes]
    assert len(set(numbers)) == len(numbers)
    share = Counter(split(0, index) for index in range(3000))
    assert 0.11 < share["held-out"] / 3000 < 0.19
    assert 0.065 < share["val"] / 3000 < 0.105


def test_a_split_without_such_scenes_is_refused() -> None:
    with pytest.raises(UsageError, match="no scene"):
        choose(0, "train", action="golf", surroundings="pool")
    with pytest.raises(UsageError, match="no scene"):
        choose(0, "held-out", action="golf", surroundings="grass")
    assert next(choose(0, "held-out", action="golf")).surroundings == "pool"


@pytest.mark.parametrize(
    "wrong", [{"action": "chess"}, {"surroundings": "moon"}, {"weather": "hail"}]
)
def test_unknown_names_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="unknown"):
        sample_scene(0, 0, **wrong)


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (0, -1), (1 << 64, 0)])
def test_keys_out_of_range_are_refused(seed: int, index: int) -> None:
    with pytest.raises(UsageError, match="must be 0"):
        sample_scene(seed, index)


def test_fixing_one_thing_leaves_the_rest_as_drawn() -> None:
    free, fixed = sample_scene(9, 4), sample_scene(9, 4, weather="fog")
    assert fixed.weather == "fog"
    assert (free.people, free.camera) == (fixed.people, fixed.camera)
    # who is there does not depend on what they do, so clothes tell nothing of the action
    assert sample_scene(9, 4, action="golf").people[0].shirt == free.people[0].shirt


def test_everything_occurs_and_captions_say_it() -> None:
    scenes = [sample_scene(1, index) for index in range(600)]
    assert {s.action for s in scenes} == set(ACTIONS)
    assert {s.surroundings for s in scenes} == set(SURROUNDINGS)
    assert {s.weather for s in scenes} == set(WEATHER)
    assert {s.camera.motion for s in scenes} == set(MOTIONS)
    assert {len(s.people) for s in scenes} == {1, 2, 3}
    captions = {s.caption for s in scenes}
    assert len(captions) > 400
    for scene in scenes:
        assert scene.caption == scene.caption.strip()
        assert "  " not in scene.caption
        assert " a orange" not in scene.caption
        if len(scene.people) > 1 and scene.caption.startswith("two"):
            assert len(scene.people) == 2
    golf = [s.caption for s in scenes if s.action == "golf"]
    assert all("golf" in caption for caption in golf)
    assert label("golf", "pool") == "golf in the pool"
    assert label("sailing", "snow") == "sailing on snow"


def _philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x64-10 as published (Salmon et al. 2011), in Python's integers."""
    words = (1 << 64) - 1
    for _ in range(10):
        low, high = 0xD2E7470EE14C6C93 * counter[0], 0xCA5A826395121157 * counter[2]
        counter = [
            (high >> 64) ^ counter[1] ^ key[0],
            high & words,
            (low >> 64) ^ counter[3] ^ key[1],
            low & words,
        ]
        key = [(key[0] + 0x9E3779B97F4A7C15) & words, (key[1] + 0xBB67AE8584CAA73B) & words]
    return counter


def test_draws_are_the_published_philox() -> None:
    # the known answer of Random123 for counter and key zero
    assert _philox([0] * 4, [0] * 2)[0] == 0x16554D9ECA36314C
    words = Draws(12, 34, Domain.PEOPLE).words(8)
    expected = [_philox([n, 0, 0, Domain.PEOPLE], [12, 34]) for n in (1, 2)]
    assert [int(word) for word in words] == expected[0] + expected[1]
    uniforms = Draws(7, 8, Domain.PEOPLE).uniforms(1000)
    assert 0 <= uniforms.min() < 0.01 < 0.99 < uniforms.max() < 1


def test_trigonometry_against_the_library() -> None:
    turns = np.linspace(-3, 3, 4001)
    assert np.abs(sine(turns) - np.sin(2 * np.pi * turns)).max() < 5e-6
    assert np.abs(cosine(turns) - np.cos(2 * np.pi * turns)).max() < 5e-6
    x = np.geomspace(1e-4, 1e4, 1000).astype(np.float32)
    assert np.abs(log2(x) - np.log2(x)).max() < 0.09
    assert smooth(np.array([-1.0, 0.5, 2.0]), 0, 1).tolist() == [0, 0.5, 1]


def test_curves_go_through_their_keys() -> None:
    keys = ((0.1, 1.0), (0.4, -2.0), (0.8, 0.5))
    for phase, value in keys:
        assert keyed(np.array([phase, phase + 3]), keys) == pytest.approx([value, value])
    smoothly = keyed(np.linspace(0, 2, 2001), keys)
    assert np.abs(np.diff(smoothly)).max() < 0.02


def test_elbows_keep_the_length_of_bones() -> None:
    angle = np.linspace(0, 1, 30)
    hand = (0.4 * cosine(angle), 0.4 * sine(angle))
    joint = elbow((0.0, 0.0), hand, 0.3, 0.28, 1.0)
    upper = np.hypot(*joint)
    lower = np.hypot(joint[0] - hand[0], joint[1] - hand[1])
    assert upper == pytest.approx(np.full(30, 0.3), abs=1e-6)
    assert lower == pytest.approx(np.full(30, 0.28), abs=1e-6)
