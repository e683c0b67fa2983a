"""The Fréchet distance: its arithmetic, and that a set of frozen clips is far from its source."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from scipy.ndimage import gaussian_filter

from gistcast.codec.clip import Clip
from gistcast.codec.colour import rgb_to_clip
from gistcast.codec.errors import UsageError
from gistcast.eval.metrics import Meter, frechet
from gistcast.eval.metrics.frechet import covariance, network
from gistcast.models.recogniser import clip_features

Features = NDArray[np.float64]


def _clips(count: int = 16) -> list[Clip]:
    """A textured disc that crosses a textured, panning ground, each clip its own way."""
    made = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        wide = gaussian_filter(rng.normal(0, 1, (128, 128, 3)), (2, 2, 0))
        wide = 128 + 40 * wide / wide.std() + rng.normal(0, 30, 3)
        speed, tone = rng.integers(-2, 3, 2), rng.uniform(0, 255, 3)
        start, step = rng.uniform(16, 48, 2), rng.uniform(-1.2, 1.2, 2)
        y, x = np.mgrid[:64, :64]
        frames = []
        for t in range(32):
            ground = np.roll(wide, tuple(speed * t), (0, 1))[:64, :64]
            cy, cx = start + step * t
            inside = (y - cy) ** 2 + (x - cx) ** 2 < 14**2
            frames.append(np.where(inside[..., None], tone, ground))
        made.append(rgb_to_clip(np.clip(np.stack(frames), 0, 255).astype(np.uint8)))
    return made


def _noisy(clip: Clip, seed: int) -> Clip:
    rng = np.random.default_rng(seed)
    planes = (p.astype(int) + rng.integers(-8, 9, p.shape) for p in clip.planes)
    return Clip(*(np.clip(p, 0, 255).astype(np.uint8) for p in planes))


def test_a_frozen_set_is_farther_from_its_source_than_a_noisy_moving_one() -> None:
    clips = _clips()
    source = clip_features(network(), clips)
    frozen = [Clip(*(np.repeat(p[16:17], 32, 0) for p in clip.planes)) for clip in clips]
    noisy = [_noisy(clip, seed) for seed, clip in enumerate(clips)]
    far = frechet(clip_features(network(), frozen), source)
    near = frechet(clip_features(network(), noisy), source)
    assert far > 2 * near > 0


def test_the_features_of_a_row_are_those_of_the_decoded_clip(clip: Clip, noisy_clip: Clip) -> None:
    found = Meter(clip, ("features",)).measure(noisy_clip)["features"]
    assert isinstance(found, list)
    assert found == pytest.approx(clip_features(network(), [noisy_clip])[0].tolist(), rel=1e-5)
    small = Clip(*(p[:4] for p in clip.planes))
    assert Meter(small, ("features",)).measure(small) == {"features": None}


def _sets(seed: int = 0) -> tuple[Features, Features]:
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(6, 6))
    return rng.normal(size=(80, 6)) @ mix, rng.normal(0.3, 1.2, size=(50, 6)) @ mix


def test_the_distance_is_the_textbooks() -> None:
    a, b = _sets()
    first, second = covariance(a), covariance(b)
    apart = a.mean(0) - b.mean(0)
    root = sqrtm(first @ second).real
    expected = apart @ apart + np.trace(first + second - 2 * root)
    assert frechet(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet(a, b) == pytest.approx(frechet(b, a), rel=1e-9)


def test_of_itself_it_is_nothing_and_of_a_shift_its_square() -> None:
    a, _ = _sets()
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet(a, a + 2) == pytest.approx(6 * 4, rel=1e-9)


def test_few_clips_bias_it_upwards() -> None:
    rng = np.random.default_rng(2)

    def mean(count: int) -> float:
        draws = [frechet(*rng.normal(size=(2, count, 8))) for _ in range(20)]
        return float(np.mean(draws))

    assert mean(12) > 2 * mean(100) > 0  # though both sets are of one kind


def test_the_covariance_is_shrunk_less_the_more_is_known() -> None:
    rng = np.random.default_rng(3)
    scale = np.array([3.0, 1, 1, 0.2])
    few, many = (rng.normal(size=(n, 4)) * scale for n in (10, 5000))
    assert np.linalg.cond(covariance(few)) < np.linalg.cond(np.cov(few.T))
    assert covariance(many) == pytest.approx(np.cov(many.T), abs=0.02)
    assert np.linalg.eigvalsh(covariance(rng.normal(size=(10, 24)))).min() > 0


@pytest.mark.parametrize("other", [np.zeros((9, 6)), np.zeros((20, 5)), np.full((20, 6), np.nan)])
def test_what_has_no_distance_is_refused(other: Features) -> None:
    with pytest.raises(UsageError):
        frechet(_sets()[0], other)
