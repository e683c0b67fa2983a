import numpy as np
import pytest
import torch

from gistcast.codec.clip import Clip
from gistcast.codec.errors import UsageError
from gistcast.models import refine
from gistcast.models.refine import GanRefiner, noise
from gistcast.models.refiner import Generator, RefinerConfig, fades, pack, unpack

SMALL = RefinerConfig(widths=(4, 6, 8), blocks=(1, 2, 3), condition=8, text=4)


def _told(step: float = 60.0, **others: object) -> dict[str, object]:
    return {"step": step, "latent": None, "text": None, "seed": 1} | others


def _scrambled() -> GanRefiner:
    """A generator whose output depends on everything that it is told."""
    torch.manual_seed(0)
    generator = Generator(SMALL)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return GanRefiner(generator)


def _same(a: Clip, b: Clip) -> bool:
    return all(np.array_equal(p, q) for p, q in zip(a.planes, b.planes, strict=True))


def test_pack_and_unpack_are_inverse() -> None:
    y, u, v = torch.rand(1, 2, 6, 8), torch.rand(1, 2, 3, 4), torch.rand(1, 2, 3, 4)
    packed = pack(y, u, v)
    assert packed.shape == (1, 2, 3, 4, 6)
    assert all(torch.equal(a, b) for a, b in zip(unpack(packed), (y, u, v), strict=True))


@pytest.mark.parametrize("mode", ["fidelity", "balanced", "detail"])
def test_an_untrained_refiner_changes_nothing(make_clip, mode: str) -> None:
    clip = make_clip(frames=5, height=33, width=46)
    assert _same(GanRefiner(Generator(SMALL)).refine(clip, **_told(mode=mode)), clip)


@pytest.mark.parametrize(
    ("frames", "height", "width"), [(1, 1, 1), (32, 16, 24), (3, 35, 9), (8, 64, 50)]
)
def test_any_size_and_length(make_clip, frames: int, height: int, width: int) -> None:
    clip = make_clip(frames=frames, height=height, width=width)
    made = _scrambled().refine(clip, **_told())
    assert (made.frames, made.height, made.width) == (frames, height, width)
    assert not _same(made, clip)


def test_the_same_seed_draws_the_same_and_another_does_not(make_clip) -> None:
    clip, refiner = make_clip(frames=4), _scrambled()
    first = refiner.refine(clip, **_told(seed=7, mode="detail"))
    assert _same(first, refiner.refine(clip, **_told(seed=7, mode="detail")))
    assert not _same(first, refiner.refine(clip, **_told(seed=8, mode="detail")))
    fidelity = refiner.refine(clip, **_told(seed=7, mode="fidelity"))
    assert _same(fidelity, refiner.refine(clip, **_told(seed=8, mode="fidelity")))


def test_everything_it_is_told_matters(make_clip) -> None:
    """Without a residual everything; beside one the description is left out of it."""
    clip, refiner = make_clip(frames=4), _scrambled()
    latent = np.full(SMALL.latents, 3, np.int32)
    alone = refiner.refine(clip, **_told(step=0.0))
    for other in ({"text": "golf"}, {"latent": latent}, {"mode": "detail"}):
        assert not _same(alone, refiner.refine(clip, **_told(step=0.0, **other))), other
    beside = refiner.refine(clip, **_told(step=100.0))
    for other in ({"text": "golf"}, {"latent": latent}):
        assert _same(beside, refiner.refine(clip, **_told(step=100.0, **other))), other
    for other in ({"step": 200.0}, {"kept": (0, 1, 2, 3)}, {"kept": (1, 3)}):
        assert not _same(beside, refiner.refine(clip, **_told(**{"step": 100.0} | other))), other
    halves, quarter = (refiner.refine(clip, **_told(step=100.0, kept=k)) for k in ((1, 3), (2,)))
    assert not _same(halves, quarter)


def test_tiles_leave_no_seam(make_clip, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, refiner = make_clip(frames=2, height=160, width=200), _scrambled()
    whole = refiner.refine(clip, **_told())
    monkeypatch.setattr(refine, "_TILE", 32)
    tiled = refiner.refine(clip, **_told())
    for a, b in zip(whole.planes, tiled.planes, strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1  # float noise before rounding


def test_fades_are_marked() -> None:
    marks = fades(8, [(), range(8), (1, 3, 5, 7), (0, 4)])
    assert marks[:2].tolist() == [[0] * 8] * 2
    assert marks[2:].tolist() == [[1, 0] * 4, [0, 1, 1, 1, 0, 1, 1, 1]]


def test_noise_is_a_function_of_the_seed_alone() -> None:
    golden = np.random.Generator(np.random.Philox(key=5)).standard_normal(4, np.float32)
    assert np.array_equal(noise(5, 3, 4).flatten()[:4].numpy(), golden)
    assert not torch.equal(noise(5, 3, 4), noise(6, 3, 4))


def test_bad_requests_are_refused(make_clip) -> None:
    clip, refiner = make_clip(frames=1, height=8, width=8), GanRefiner(Generator(SMALL))
    with pytest.raises(UsageError, match="mode"):
        refiner.refine(clip, **_told(mode="sharp"))
    with pytest.raises(UsageError, match="latents"):
        refiner.refine(clip, **_told(step=0.0, latent=np.zeros(3, np.int32)))
    with pytest.raises(UsageError):
        RefinerConfig(widths=(0, 1, 1))
