"""Pictures: the same everywhere, any size and length, and each label visible in them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from gistcast.codec.errors import UsageError
from gistcast.models.scenes import ACTIONS, SURROUNDINGS, WEATHER, render, sample_scene, stream
from gistcast.models.scenes.camera import MOTIONS

#: sha256 of the first 8 frames of 64x64: change them only with a new look, and say so in
#: docs/scenes.md
PINNED = {
    (0, 0): "a8eaa195bf0d7bca848ddd219a5f4580a868078059a82dfad106a56b54c51142",
    (1, 7): "a7758aa46883de0c5cf7b993bfe295dce3a9d5c219a098ad2c69f6e785268883",
}


@pytest.mark.parametrize(("key", "expected"), PINNED.items())
def test_pixels_are_pinned(key: tuple[int, int], expected: str) -> None:
    clip = render(sample_scene(*key), 8, (64, 64))
    assert hashlib.sha256(clip.tobytes()).hexdigest() == expected


_HASH = """
import hashlib
from gistcast.models.scenes import render, sample_scene
total = hashlib.sha256()
for index in range(10):
    total.update(render(sample_scene(77, index), 2, (48, 48)).tobytes())
print(total.hexdigest())
"""


def test_pixels_do_not_depend_on_the_vector_unit() -> None:
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(found)}
    hashes = {
        subprocess.run(
            [sys.executable, "-c", _HASH], env=env, check=True, capture_output=True, text=True
        ).stdout
        for env in (dict(os.environ), environment)
    }
    assert len(hashes) == 1


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_shows_in_all_surroundings(action: str) -> None:
    for number, place in enumerate(SURROUNDINGS):
        scene = sample_scene(2, number, action=action, surroundings=place, weather="clouds")
        alone = replace(scene, people=scene.people[:1])
        clip = render(alone, 2, (48, 48)).astype(np.int64)
        empty = render(replace(scene, people=()), 2, (48, 48)).astype(np.int64)
        changed = (np.abs(clip - empty).max(-1) > 24).mean()
        assert clip.shape == (2, 48, 48, 3)
        assert 0.02 < changed < 0.6, f"{action}, {place}: {changed:.3f} of the picture"


@pytest.mark.parametrize("weather", WEATHER)
@pytest.mark.parametrize("motion", MOTIONS)
def test_a_frame_does_not_depend_on_how_many_are_rendered(
    weather: str, motion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = MOTIONS.index(motion) * len(WEATHER) + list(WEATHER).index(weather)
    scene = sample_scene(6, number, weather=weather)
    scene = replace(scene, camera=replace(scene.camera, motion=motion))
    whole = render(scene, 7, (40, 32))
    assert np.array_equal(render(scene, 3, (40, 32)), whole[:3])
    assert np.array_equal(render(scene, 2, (40, 32), start=4), whole[4:6])
    # in chunks of two frames
    monkeypatch.setattr("gistcast.models.scenes.rendering._CHUNK", 2 * 40 * 32)
    assert np.array_equal(render(scene, 7, (40, 32)), whole)


@pytest.mark.parametrize("size", [(8, 8), (33, 71), (97, 20), (160, 90), (256, 256)])
def test_any_size(size: tuple[int, int]) -> None:
    for number in range(3):
        clip = render(sample_scene(4, number), 1, size)
        assert clip.shape == (1, size[1], size[0], 3)
        assert clip.dtype == np.uint8
        assert clip.std() > 5


@pytest.mark.parametrize(("frames", "size"), [(0, (64, 64)), (1, (7, 64)), (1, (64, 4096))])
def test_impossible_sizes_are_refused(frames: int, size: tuple[int, int]) -> None:
    with pytest.raises(UsageError):
        render(sample_scene(0, 0), frames, size)


def test_sizes_show_the_same_scene() -> None:
    # without rain and snow, whose drops are points
    for number in range(6):
        scene = sample_scene(8, number, weather="sun")
        small = render(scene, 1, (64, 64))[0].astype(np.float64)
        large = render(scene, 1, (128, 128))[0].astype(np.float64)
        shrunk = large.reshape(64, 2, 64, 2, 3).mean((1, 3))
        other = render(sample_scene(8, number + 50, weather="sun"), 1, (64, 64))[0]
        assert np.abs(small - shrunk).mean() < 9
        assert np.abs(small - shrunk).mean() < 0.5 * np.abs(other - shrunk).mean()


def test_long_clips_keep_the_main_person_in_the_picture() -> None:
    scene = sample_scene(3, 1, action="jogging", surroundings="grass", weather="clouds")
    for motion in ("follow", "pan", "handheld", "zoom in"):
        there = replace(scene, camera=replace(scene.camera, motion=motion), people=scene.people[:1])
        for minute in (1, 7, 60):
            late = render(there, 2, (16, 16), start=1500 * minute).astype(np.int64)
            empty = render(replace(there, people=()), 2, (16, 16), start=1500 * minute)
            assert np.abs(late - empty).max() > 24


def test_speed_is_a_persons() -> None:
    """A followed jogger passes 2.4 to 4 metres of ground a second."""
    scene = sample_scene(3, 1, action="jogging")
    assert 2.4 < abs(scene.speed) < 4
    assert 2.0 < scene.span < 3.5


def _features(clip: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean colours of 8 x 4 blocks; and edges and change without colour on an 8 x 8 grid."""
    x = clip.astype(np.float64) / 255
    frames, height, width, _ = x.shape
    colours = x.mean(0).reshape(8, height // 8, 4, width // 4, 3).mean((1, 3)).ravel()
    luma = np.pad(x.mean(-1), ((0, 1), (0, 1), (0, 1)), mode="edge")
    core = (slice(frames), slice(height), slice(width))
    grids = []
    for axis in range(3):
        change = np.abs(np.diff(luma, axis=axis))[core].mean(0)
        grids.append(change.reshape(8, height // 8, 8, width // 8).mean((1, 3)).ravel())
    motion = np.concatenate(grids)
    return np.concatenate([colours, np.sqrt(colours)]), np.concatenate([motion, np.sqrt(motion)])


def _ridge(x: NDArray[np.float64], labels: list[int], train: int) -> float:
    """Accuracy of ridge regression onto one-hot labels on what comes after `train`."""
    x = np.concatenate([x, np.ones((len(x), 1))], 1)
    wanted = np.eye(10)[labels]
    normal = x[:train].T @ x[:train] + 0.1 * np.eye(x.shape[1])
    weights = np.linalg.solve(normal, x[:train].T @ wanted[:train])
    return float(((x[train:] @ weights).argmax(1) == np.array(labels[train:])).mean())


def test_both_labels_can_be_told_and_neither_from_the_other() -> None:
    count, train = 260, 190
    colours, motions, actions, places = [], [], [], []
    for index in range(count):
        # weather held still: this is a probe of seconds, not a training
        scene = sample_scene(5, index, weather="clouds")
        colour, motion = _features(render(scene, 3, (32, 32)))
        colours.append(colour)
        motions.append(motion)
        actions.append(ACTIONS.index(scene.action))
        places.append(SURROUNDINGS.index(scene.surroundings))
    assert _ridge(np.stack(colours), places, train) > 0.8
    assert _ridge(np.stack(motions), actions, train) > 0.3
    table = np.zeros((10, 10))
    np.add.at(table, (actions, places), 1)
    # the labels are independent: no action comes with surroundings of its own
    assert table.max() < 0.035 * count


def test_the_stream_is_the_world() -> None:
    clips = stream(2, "val", (32, 32), frames=2)
    first, second = next(clips), next(clips)
    assert first.clip.shape == (2, 32, 32, 3)
    assert (first.action in ACTIONS, first.surroundings in SURROUNDINGS) == (True, True)
    assert first.caption != second.caption
    again = next(stream(2, "val", (32, 32), frames=2))
    assert np.array_equal(again.clip, first.clip)
    # two processes share the indices
    odd = stream(2, None, (32, 32), frames=1, start=1, step=2)
    whole = stream(2, None, (32, 32), frames=1)
    next(whole)
    assert np.array_equal(next(odd).clip, next(whole).clip)
