"""LPIPS against the distances that its authors publish (pictures: BSD-2-Clause, see data/)."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from gistcast.codec.errors import ModelError, UsageError
from gistcast.models.lpips import VGG16, Lpips, load_lpips

DATA = Path(__file__).parent / "data"


def picture(name: str) -> Tensor:
    """A PNG as RGB in [-1, 1], (1, 3, H, W)."""
    with av.open(str(DATA / name)) as container:
        rgb = next(container.decode(video=0)).to_ndarray(format="rgb24")
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 127.5 - 1


@pytest.mark.parametrize(("name", "published"), [("ex_p0.png", 0.722), ("ex_p1.png", 0.138)])
def test_published_distances(network: Lpips, name: str, published: float) -> None:
    distance = network(picture(name), picture("ex_ref.png"))
    assert distance.shape == (1,)
    assert float(distance) == pytest.approx(published, abs=5e-4)


def test_a_batch_gives_each_pair_its_own_distance(network: Lpips) -> None:
    pictures = torch.cat([picture("ex_p0.png"), picture("ex_ref.png"), picture("ex_p1.png")])
    reference = picture("ex_ref.png").expand(3, -1, -1, -1)
    assert network(pictures, reference).tolist() == pytest.approx([0.722, 0, 0.138], abs=5e-4)


def test_gradients_reach_the_picture_and_stay_finite(network: Lpips) -> None:
    flat = torch.zeros(1, 3, 64, 64, requires_grad=True)
    network(flat, picture("ex_ref.png")).sum().backward()
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()
    assert flat.grad.abs().max() > 0
    assert not any(weight.requires_grad for weight in network.parameters())


def test_a_step_along_the_gradient_lowers_the_distance(network: Lpips) -> None:
    reference, start = picture("ex_ref.png"), picture("ex_p1.png").requires_grad_()
    distance = network(start, reference)
    distance.sum().backward()
    assert start.grad is not None
    moved = start.detach() - 0.5 * start.grad / start.grad.abs().max()
    assert float(network(moved, reference)) < float(distance.detach())


def test_small_or_misshapen_pictures_are_refused(network: Lpips) -> None:
    with pytest.raises(UsageError, match="31 pixels"):
        network(torch.zeros(1, 3, 30, 64), torch.zeros(1, 3, 30, 64))
    with pytest.raises(UsageError, match=r"\(N, 3, H, W\)"):
        network(torch.zeros(1, 1, 64, 64), torch.zeros(1, 1, 64, 64))


def test_missing_or_wrong_weights_are_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not bundled"):
        load_lpips("vgg")
    with pytest.raises(ModelError, match="no LPIPS weights"):
        load_lpips("vgg", tmp_path / "missing.safetensors")
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, str(other))
    with pytest.raises(ModelError, match="not LPIPS weights"):
        load_lpips("vgg", other)
    other.write_bytes(b"not a safetensors file")
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_lpips("vgg", other)
    with pytest.raises(UsageError, match="squeeze"):
        load_lpips("squeeze")


def test_vgg_has_the_sixteen_layer_network_up_to_its_last_convolution() -> None:
    assert [layer.outputs for layer in VGG16.layers if layer.stage] == [64, 128, 256, 512, 512]
    assert len(VGG16.layers) == 13
