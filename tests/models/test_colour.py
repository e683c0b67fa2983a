import numpy as np
import pytest
import torch

from gistcast.codec import colour as reference
from gistcast.models import colour


@pytest.mark.parametrize(("height", "width"), [(8, 12), (7, 9), (1, 1), (2, 5)])
def test_the_torch_twin_agrees_with_the_codec(height: int, width: int) -> None:
    rng = np.random.default_rng(height * width)
    half = (3, (height + 1) // 2, (width + 1) // 2)
    planes = [rng.uniform(0, 255, s).astype(np.float32) for s in ((3, height, width), half, half)]
    expected = reference.planes_to_rgb(*planes)
    got = colour.planes_to_rgb(*(torch.from_numpy(p) for p in planes))
    assert got.shape == (3, 3, height, width)
    assert np.abs(got.permute(0, 2, 3, 1).numpy() - expected).max() < 1e-3


def test_gradients_reach_every_plane() -> None:
    planes = [torch.zeros(1, *s, requires_grad=True) for s in ((4, 4), (2, 2), (2, 2))]
    colour.planes_to_rgb(*planes).square().sum().backward()
    assert all(p.grad is not None and bool((p.grad != 0).all()) for p in planes)
