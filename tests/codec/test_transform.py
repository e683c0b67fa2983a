"""The 3-D transform inverts itself at any size and keeps energy."""

from __future__ import annotations

import numpy as np
import pytest

from gistcast.codec.layout import make_layout
from gistcast.codec.transform import forward, inverse, spatial_levels

SHAPES = [(32, 64, 64), (8, 33, 47), (1, 1, 1), (5, 2, 7), (16, 1, 40), (7, 90, 160), (3, 257, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_inverse(shape: tuple[int, int, int]) -> None:
    plane = np.random.default_rng(0).normal(0, 50, shape).astype(np.float32)
    levels = spatial_levels(*shape[1:])
    assert np.abs(inverse(forward(plane, levels), levels) - plane).max() < 2e-3


def test_constant_goes_to_one_coefficient() -> None:
    bands = forward(np.full((32, 64, 64), 10, np.float32), 6)
    assert bands[6, 0].shape == (32, 1, 1)
    assert bands[6, 0][0, 0, 0] == pytest.approx(10 * np.sqrt(32 * 64 * 64), rel=1e-3)
    rest = sum(float(np.square(b).sum()) for b in bands.values())
    assert rest == pytest.approx(float(bands[6, 0][0, 0, 0]) ** 2, rel=1e-4)


def test_energy_is_nearly_kept() -> None:
    plane = np.random.default_rng(1).normal(0, 1, (32, 64, 64)).astype(np.float32)
    energy = sum(float(np.square(b).sum()) for b in forward(plane, 6).values())
    assert energy / float(np.square(plane).sum()) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("shape", SHAPES)
def test_layout_covers_every_coefficient_once(shape: tuple[int, int, int]) -> None:
    layout = make_layout(*shape)
    seen = set()
    covered = 0
    for group in layout.groups:
        height, width = layout.shapes[group.plane][group.band]
        for plane in range(group.start, group.stop):
            key = (group.plane, group.band, plane)
            assert key not in seen
            seen.add(key)
            covered += height * width
    frames, height, width = shape
    chroma = frames * ((height + 1) // 2) * ((width + 1) // 2)
    assert covered == frames * height * width + 2 * chroma


def test_groups_know_their_relatives_before_them() -> None:
    layout = make_layout(32, 64, 64)
    order = {(g.plane, g.band, g.temporal): g.index for g in layout.groups}
    for group in layout.groups:
        if group.parent is not None:
            assert order[group.plane, group.parent, group.temporal] < group.index
        if group.temporal:
            assert order[group.plane, group.band, group.temporal - 1] < group.index
        for sibling in group.siblings:
            assert order[group.plane, sibling, group.temporal] < group.index
        if group.luma is not None:
            assert order[0, group.luma, group.temporal] < group.index
