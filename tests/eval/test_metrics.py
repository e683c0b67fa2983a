"""Metrics against independent implementations.

Expected figures were computed once, in double precision, with scikit-image 0.26.0 (PSNR, SSIM)
and torchmetrics 1.9.0 (the contrast-structure terms of MS-SSIM), on the clips of conftest.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.distortion import temporal_error
from gistcast.codec.errors import UsageError
from gistcast.eval.metrics import DEFAULT, Meter
from gistcast.eval.metrics.perceptual import Perceptual
from gistcast.eval.metrics.psnr import CEILING
from gistcast.eval.metrics.ssim import scales_for
from gistcast.models.lpips import Lpips


@pytest.fixture(scope="module")
def meter(clip: Clip) -> Meter:
    return Meter(clip)


def figure(meter: Meter, decoded: Clip, name: str) -> float:
    value = meter.measure(decoded)[name]
    assert isinstance(value, float)
    return value


@pytest.mark.parametrize(
    ("name", "noisy", "shifted"),
    [
        ("psnr_rgb", 27.470307, 17.583510),
        ("psnr_yuv", (6 * 28.968164 + 37.226555 + 36.781013) / 8, None),
        ("ssim", 0.8237047, 0.5729330),
        ("ms_ssim", 0.9744579, 0.6633183),
    ],
)
def test_independent_implementations_agree(
    meter: Meter,
    noisy_clip: Clip,
    shifted_clip: Clip,
    name: str,
    noisy: float,
    shifted: float | None,
) -> None:
    assert figure(meter, noisy_clip, name) == pytest.approx(noisy, rel=2e-5)
    if shifted is not None:
        assert figure(meter, shifted_clip, name) == pytest.approx(shifted, rel=2e-5)


def test_lpips_and_tlpips_are_the_means_of_the_pairs(
    meter: Meter, clip: Clip, noisy_clip: Clip, network: Lpips
) -> None:
    a, b = (
        torch.from_numpy(clip_to_rgb(c)).permute(0, 3, 1, 2).float() / 127.5 - 1
        for c in (clip, noisy_clip)
    )
    assert figure(meter, noisy_clip, "lpips_alex") == pytest.approx(
        float(network(a, b).mean()), rel=1e-4
    )
    steps = [float(network(b[t : t + 1], b[t - 1 : t])) for t in range(1, 32)]
    wanted = [float(network(a[t : t + 1], a[t - 1 : t])) for t in range(1, 32)]
    change = np.abs(np.array(steps) - np.array(wanted)).mean()
    assert figure(meter, noisy_clip, "tlpips") == pytest.approx(change, rel=1e-3)


def test_an_exact_copy_is_perfect(meter: Meter, clip: Clip) -> None:
    assert meter.measure(clip) == {
        "psnr_rgb": CEILING,
        "psnr_yuv": CEILING,
        "ssim": 1.0,
        "ms_ssim": 1.0,
        "lpips_alex": 0.0,
        "tlpips": 0.0,
        "tdiff": 0.0,
        "motion_error": 0.0,
    }


def test_a_frozen_picture_has_a_motion_error_of_one(meter: Meter, clip: Clip) -> None:
    still = Clip(*(np.repeat(plane[:1], 32, 0) for plane in clip.planes))
    found = meter.measure(still)
    assert found["motion_error"] == pytest.approx(1, abs=1e-6)
    assert found["tlpips"] == pytest.approx(float(meter_steps(meter)), rel=1e-4)
    assert found["tlpips"]


def meter_steps(meter: Meter) -> torch.Tensor:
    """Mean LPIPS between consecutive frames of the reference."""
    perceptual = meter._instrument("alex")
    assert isinstance(perceptual, Perceptual)
    return perceptual._changes.mean()


def test_motion_error_by_hand() -> None:
    a = np.array([0, 10, 20], np.uint8).reshape(3, 1, 1)
    b = np.array([5, 5, 25], np.uint8).reshape(3, 1, 1)
    tdiff, error = temporal_error(a, b)
    assert tdiff == pytest.approx(10)  # changes of 0 and 20 where 10 and 10 were right
    assert error == pytest.approx(1)
    static = np.full((3, 1, 1), 9, np.uint8)
    assert temporal_error(static, b)[1] == pytest.approx((20**2 / 2) ** 0.5 / 0.5)
    assert temporal_error(a[:1], b[:1]) == (0, 0)


def test_the_clip_figure_is_the_psnr_of_the_mean_error(meter: Meter, clip: Clip) -> None:
    half_bad = Clip(*(plane.copy() for plane in clip.planes))
    half_bad.y[:16] ^= 8
    by_frame = meter.psnr_by_frame(half_bad)
    assert by_frame[16:] == [CEILING] * 16
    mean_error = np.mean([10 ** (-p / 10) if p < CEILING else 0 for p in by_frame])
    assert figure(meter, half_bad, "psnr_rgb") == pytest.approx(
        -10 * np.log10(mean_error), abs=2e-3
    )


def test_scales_follow_the_frame() -> None:
    assert [scales_for(side, side) for side in (10, 11, 32, 64, 128, 256, 1080)] == [
        0, 1, 2, 3, 4, 5, 5,
    ]  # fmt: skip


def test_what_cannot_be_measured_is_none() -> None:
    tiny = Clip(*(np.full((2, s, s), 90, np.uint8) for s in (8, 4, 4)))
    found = Meter(tiny).measure(tiny)
    assert found["ssim"] is found["ms_ssim"] is found["lpips_alex"] is found["tlpips"] is None
    assert found["psnr_rgb"] == CEILING


def test_only_what_was_asked_for_is_measured(clip: Clip, noisy_clip: Clip) -> None:
    assert list(Meter(clip, ("psnr_rgb", "ssim")).measure(noisy_clip)) == ["psnr_rgb", "ssim"]
    with pytest.raises(UsageError, match="vmag"):
        Meter(clip, ("vmag",))


def test_other_geometry_is_refused(meter: Meter, clip: Clip) -> None:
    with pytest.raises(UsageError, match="reference"):
        meter.measure(clip[:16])


def test_every_metric_has_a_figure(meter: Meter, noisy_clip: Clip) -> None:
    assert list(meter.measure(noisy_clip)) == list(DEFAULT)
