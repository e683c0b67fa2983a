"""VMAF, XPSNR and PSNR against ffmpeg's filters run by hand; SSIM and MS-SSIM against packages."""

from __future__ import annotations

import json
import re
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_msssim import ms_ssim
from skimage.metrics import structural_similarity

from gistcast.codec.clip import Clip
from gistcast.codec.colour import rgb_to_clip
from gistcast.codec.errors import GistcastError
from gistcast.eval.codecs.executable import ffmpeg_program
from gistcast.eval.metrics import Meter, vmaf
from gistcast.eval.metrics.psnr import CEILING
from gistcast.eval.metrics.view import View
from gistcast.eval.metrics.vmaf import FfmpegFilters, graph

FPS = Fraction(30000, 1001)
NAMES = ("vmaf", "vmaf_neg", "xpsnr", "psnr_yuv", "ssim", "ms_ssim")


def _large(side: int, noise: int, frames: int = 4) -> Clip:
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:side, :side].astype(float)
    out = np.empty((frames, side, side, 3))
    for t in range(frames):
        wave = np.sin((x + 3 * t) / 5) + np.sin((y - t) / 9) + np.sin((x + y + 2 * t) / 31)
        out[t] = (128 + 35 * wave)[..., None] * (1, 0.9, 0.8)
    out += noise * np.random.default_rng(2).standard_normal(out.shape)
    grain = 12 * rng.standard_normal((side, side, 1))
    return rgb_to_clip(np.clip(out + grain, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def pair() -> tuple[Clip, Clip]:
    """Four frames of 192 x 192, clean and noisy."""
    return _large(192, 0), _large(192, 14)


def _y4m(path: Path, clip: Clip) -> Path:
    head = f"YUV4MPEG2 W{clip.width} H{clip.height} F30000:1001 Ip A1:1 C420mpeg2\n"
    frames = [
        b"FRAME\n" + b"".join(p[t].tobytes() for p in clip.planes) for t in range(clip.frames)
    ]
    path.write_bytes(head.encode() + b"".join(frames))
    return path


@pytest.fixture(scope="module")
def by_hand(pair: tuple[Clip, Clip], tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The filters one by one, on y4m files."""
    folder = tmp_path_factory.mktemp("y4m")
    reference, decoded = (_y4m(folder / f"{n}.y4m", c) for n, c in zip("rd", pair, strict=True))

    def run(first: Path, second: Path, filters: str) -> str:
        command = [ffmpeg_program(), "-i", str(first), "-i", str(second), "-lavfi", filters]
        done = subprocess.run(
            [*command, "-f", "null", "-"], capture_output=True, text=True, check=True, cwd=folder
        )
        return done.stderr

    found = {}
    for name, model in (("vmaf", "vmaf_v0.6.1"), ("vmaf_neg", "vmaf_v0.6.1neg")):
        options = f"libvmaf=model=version={model}:log_fmt=json:log_path={name}.json"
        run(decoded, reference, options)
        frames = json.loads((folder / f"{name}.json").read_text())["frames"]
        found[name] = float(np.mean([frame["metrics"]["vmaf"] for frame in frames]))
    planes = re.search(
        r"XPSNR +y: ([\d.]+) +u: ([\d.]+) +v: ([\d.]+)", run(reference, decoded, "xpsnr")
    )
    assert planes
    found["xpsnr"] = min(float(p) for p in planes.groups())
    planes = re.search(r"PSNR y:([\d.]+) u:([\d.]+) v:([\d.]+)", run(decoded, reference, "psnr"))
    assert planes
    y, u, v = (float(p) for p in planes.groups())
    found["psnr_yuv"] = (6 * y + u + v) / 8
    return found


@pytest.fixture(scope="module")
def measured(pair: tuple[Clip, Clip]) -> dict[str, object]:
    return dict(Meter(pair[0], NAMES, FPS).measure(pair[1]))


@pytest.mark.parametrize(
    ("name", "tolerance"), [("vmaf", 0.01), ("vmaf_neg", 0.01), ("xpsnr", 0.01), ("psnr_yuv", 1e-4)]
)
def test_the_filters_run_by_hand_agree(
    measured: dict[str, object], by_hand: dict[str, float], name: str, tolerance: float
) -> None:
    assert measured[name] == pytest.approx(by_hand[name], abs=tolerance)
    assert 10 < by_hand[name] < 99  # not at an end of the scale, where all agree


def test_scikit_image_agrees_on_ssim(measured: dict[str, object], pair: tuple[Clip, Clip]) -> None:
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    figures = []
    for a, b in zip(pair[0].y, pair[1].y, strict=True):
        _, whole = structural_similarity(a, b, data_range=255, full=True, **options)
        figures.append(whole[5:-5, 5:-5].mean())
    assert measured["ssim"] == pytest.approx(np.mean(figures), abs=1e-4)


def test_pytorch_msssim_agrees_on_ms_ssim(
    measured: dict[str, object], pair: tuple[Clip, Clip]
) -> None:
    a, b = (torch.from_numpy(c.y).double()[:, None] for c in pair)
    other = float(ms_ssim(a, b, data_range=255, size_average=True))  # five scales, as ours at 192
    assert measured["ms_ssim"] == pytest.approx(other, abs=1e-4)


def test_identical_clips_are_at_the_top(clip: Clip) -> None:
    found = Meter(clip, NAMES[:3], FPS).measure(clip)
    assert found["xpsnr"] == CEILING
    # of clips with little motion VMAF says a little less than 100 even so
    assert found["vmaf"] == pytest.approx(99.3, abs=0.5)
    assert found["vmaf_neg"] == pytest.approx(99.3, abs=0.5)


def test_a_slideshow_has_less_vmaf_than_noise(clip: Clip, noisy_clip: Clip) -> None:
    held = Clip(*(p[np.arange(32) // 8 * 8 + 4] for p in clip.planes))
    meter = Meter(clip, ("vmaf",), FPS)
    worse, better = meter.measure(held)["vmaf"], meter.measure(noisy_clip)["vmaf"]
    assert isinstance(worse, float) and isinstance(better, float)
    assert worse < better


def test_small_frames_have_no_figure() -> None:
    tiny, small = (
        Clip(*(np.full((2, s, s), 90, np.uint8) for s in sides))
        for sides in ((46, 23, 23), (48, 24, 24))
    )
    assert set(Meter(tiny, NAMES[:3], FPS).measure(tiny).values()) == {None}
    assert Meter(small, NAMES[:3], FPS).measure(small) == {
        "vmaf": None, "vmaf_neg": None, "xpsnr": CEILING
    }  # fmt: skip


def test_one_process_measures_all(monkeypatch: pytest.MonkeyPatch, pair: tuple[Clip, Clip]) -> None:
    runs = []
    real = subprocess.run
    monkeypatch.setattr(vmaf.subprocess, "run", lambda *a, **k: (runs.append(1), real(*a, **k))[1])
    Meter(pair[0], NAMES[:3], FPS).measure(pair[1])
    assert len(runs) == 1
    assert graph({"xpsnr"}).count("libvmaf") == 0


def test_a_failing_program_is_an_error(
    monkeypatch: pytest.MonkeyPatch, pair: tuple[Clip, Clip]
) -> None:
    monkeypatch.setattr(vmaf, "graph", lambda wanted: "nosuchfilter[out0]")
    with pytest.raises(GistcastError, match="ffmpeg failed"):
        FfmpegFilters(View(pair[0]), FPS).measure(View(pair[1]), frozenset({"xpsnr"}))
