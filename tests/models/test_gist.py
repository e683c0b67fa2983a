import numpy as np
import pytest
import torch

from gistcast.codec.errors import UsageError
from gistcast.codec.latent import check_frequencies, decode_latent, encode_latent
from gistcast.codec.protocol import GistModel
from gistcast.models.gist import (
    GRID,
    Gist,
    GistConfig,
    GistNetwork,
    integer_frequencies,
    low_resolution,
    spread_planes,
)

SMALL = GistConfig(latents=6, latent_range=3, hidden=16, text=4)


@pytest.fixture
def gist() -> Gist:
    torch.manual_seed(0)
    network = GistNetwork(SMALL)
    network.spread.copy_(torch.eye(6))
    return Gist(network, b"abcd")


def test_it_is_a_gist_model(gist: Gist, make_clip) -> None:
    model: GistModel = gist
    assert (model.model_id, model.weights_hash) == (1, b"abcd")
    check_frequencies(model.latent_frequencies)
    latent = model.describe(make_clip())
    assert latent.dtype == np.int32
    assert latent.shape == (6,)
    assert np.abs(latent).max() <= 3
    data = encode_latent(latent, model.latent_frequencies)
    assert np.array_equal(decode_latent(data, model.latent_frequencies), latent)


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 1, 1), (32, 64, 64), (7, 33, 50)])
def test_any_size_and_length(gist: Gist, make_clip, frames: int, height: int, width: int) -> None:
    latent = gist.describe(make_clip(frames=frames, height=height, width=width))
    size = {"frames": frames, "height": height, "width": width}
    y, u, v = gist.gist(latent, None, seed=0, **size)
    assert y.shape == (frames, height, width)
    assert u.shape == v.shape == (frames, (height + 1) // 2, (width + 1) // 2)
    assert all(p.dtype == np.float32 and p.min() >= 0 and p.max() <= 255 for p in (y, u, v))


def test_draws_depend_on_seed_and_text_alone(gist: Gist) -> None:
    assert np.array_equal(gist.draw("golf", 3), gist.draw("golf", 3))
    assert not np.array_equal(gist.draw("golf", 3), gist.draw("golf", 4))
    torch.manual_seed(99)  # torch's own generator plays no part
    a = gist.gist(None, "golf", frames=4, height=16, width=16, seed=3)
    torch.manual_seed(1)
    b = gist.gist(None, "golf", frames=4, height=16, width=16, seed=3)
    assert all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))


def test_a_latent_of_the_wrong_length_is_refused(gist: Gist) -> None:
    with pytest.raises(UsageError, match="6 latents"):
        gist.gist(np.zeros(5, np.int32), None, frames=1, height=8, width=8, seed=0)
    with pytest.raises(UsageError):
        GistConfig(latents=0)


def test_frequencies_are_positive_and_sum_to_the_total() -> None:
    counts = torch.zeros(3, 15)
    counts[0, 7], counts[1] = 1e6, torch.arange(15)
    frequencies = integer_frequencies(counts)
    assert bool((frequencies >= 1).all())
    assert frequencies.sum(1).tolist() == [32768] * 3
    assert int(frequencies[0].argmax()) == 7


def test_the_grid_is_the_average_of_the_clip(make_clip) -> None:
    clip = make_clip()
    grid = low_resolution(clip)
    assert grid.shape == GRID
    assert grid[..., :4].mean() == pytest.approx(clip.y.mean(), abs=1e-3)
    assert grid[..., 4].mean() == pytest.approx(clip.u.mean(), abs=1e-3)
    assert grid[0, 0, 0, 1] == pytest.approx(clip.y[:4, :4, 4:8].mean(), abs=1e-3)
    y, u, _ = spread_planes(torch.from_numpy(grid)[None], 8, 16, 16)
    assert torch.allclose(y[0, 0, 0, 0], torch.tensor(grid[0, 0, 0, 0]))
    assert torch.allclose(u[0, 7, 7, 7], torch.tensor(grid[7, 7, 7, 4]))
