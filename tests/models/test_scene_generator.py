"""The generator of scenes: what each path hears, exact symbols, files, the camera, training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gistcast.codec.colour import rgb_to_clip
from gistcast.codec.errors import ModelError, UsageError
from gistcast.codec.latent import check_frequencies, decode_latent, encode_latent
from gistcast.models import scene_pool, zoo
from gistcast.models.scene_batches import SceneData, gist_of, left_unsaid, times_of, true_camera
from gistcast.models.scene_critic import SceneCritic, critic_loss, painter_loss
from gistcast.models.scene_gist import SceneGist, SceneGistConfig, ScenePrior, shifted
from gistcast.models.scene_model import SceneModel, prior_tables, save_scene_model
from gistcast.models.scene_painter import ScenePainter, ScenePainterConfig
from gistcast.models.scenes import render, sample_scene
from gistcast.models.sentence import BUCKETS, CLASSES, FACTORS, SentenceEncoder

SMALL = SceneGistConfig(figure=3, place=2, latent_range=3, widths=(4, 4, 4), hidden=8)
TINY = ScenePainterConfig(figure=(4, 4), place=(4, 4), condition=4)


def _sentence() -> SentenceEncoder:
    rng = np.random.default_rng(0)
    table = rng.integers(-200, 200, (BUCKETS, CLASSES)).astype(np.int16)
    return SentenceEncoder(table, np.zeros(CLASSES, np.int32))


@pytest.fixture
def model() -> SceneModel:
    torch.manual_seed(0)
    gist, prior = SceneGist(SMALL), ScenePrior(SMALL)
    painter = ScenePainter(TINY, SMALL)
    torch.nn.init.normal_(painter.place_head.weight)  # zero at the start: noise would not show
    return SceneModel(_sentence(), gist, painter, prior_tables(prior), b"abcd")


def _decode(gist: SceneGist, said: list[int]) -> tuple[torch.Tensor, ...]:
    z = torch.arange(5.0)[None] - 2
    return gist.decode(z, torch.tensor([said]), times_of(4))


def test_figure_and_place_hear_only_their_own_words() -> None:
    torch.manual_seed(0)
    gist = SceneGist(SMALL)
    golf, hockey = _decode(gist, [7, 4, 1, 1, 1, 1]), _decode(gist, [2, 4, 1, 1, 1, 1])
    elsewhere = _decode(gist, [7, 5, 1, 1, 1, 1])
    assert torch.equal(golf.canvas, hockey.canvas)
    assert not torch.allclose(golf.figure, hockey.figure)
    assert torch.equal(golf.figure, elsewhere.figure)
    assert torch.equal(golf.mask, elsewhere.mask)
    assert not torch.allclose(golf.canvas, elsewhere.canvas)


def test_the_camera_moves_what_is_far_and_what_is_near() -> None:
    canvas = torch.rand(1, 1, 8, 16, 6)
    times = torch.tensor([[0.0, 0.5, 1.0]])
    still = shifted(canvas, torch.zeros(1, 3), times)
    assert torch.allclose(still[:, :1], canvas[:, :, :, :8], atol=1e-5)
    far = shifted(canvas, torch.tensor([[1.0, 0.0, 0.5]]), times)
    assert torch.allclose(far[:, 0], canvas[:, 0, :, 4:12], atol=1e-5)  # to the right by a width
    assert torch.allclose(far[0, 2, :, 4:], canvas[0, 0, :, :4], atol=1e-5)
    near = shifted(canvas, torch.tensor([[0.0, 3.0, 0.5]]), times)
    assert torch.allclose(near[:, :, :4], still[:, :, :4], atol=1e-5)  # above the horizon
    assert not torch.allclose(near[:, 0, 7], still[:, 0, 7])


def test_the_true_camera_is_that_of_the_renderer() -> None:
    fast = [s for s in (sample_scene(1, index) for index in range(120)) if abs(s.speed) > 2.5]
    moving = [s for s in fast if s.camera.motion in ("pan", "follow")]
    assert {s.camera.motion for s in moving} == {"pan", "follow"}
    for scene in moving:
        far, near, horizon = true_camera(scene)
        goes, stays = (far, near) if scene.camera.motion == "pan" else (near, far)
        assert np.sign(goes) == -np.sign(scene.speed)  # what is seen goes the other way
        assert stays == pytest.approx(0, abs=1e-6)
        assert 0.2 < horizon < 0.5


def test_bits_are_those_of_the_tables() -> None:
    prior = ScenePrior(SMALL)
    said = torch.tensor([[3, 2, 0, 0, 0, 0]])
    z = torch.tensor([[0.0, 1.0, -3.0, 3.0, 2.0]])
    tables = prior.tables(said).exp().detach()
    expected = [-float(tables[0, i, int(v) + 3].log2()) for i, v in enumerate(z[0])]
    assert prior.bits(z, said)[0].detach().tolist() == pytest.approx(expected, abs=1e-2)
    halfway = prior.bits(z + torch.tensor([0.5, 0, 0, 0, 0]), said)[0, 0].detach()
    assert expected[0] < float(halfway) < expected[0] + 1


def test_symbols_are_integers_of_text_and_seed(model: SceneModel) -> None:
    frequencies = model.frequencies(model.sentence.describe("golf"))
    check_frequencies(frequencies)
    one = model.symbols("golf", 3)
    torch.manual_seed(99)  # torch's own generator plays no part
    assert np.array_equal(model.symbols("golf", 3).latent, one.latent)
    others = [model.symbols("golf", seed).latent for seed in range(20)]
    assert len({tuple(other) for other in others}) > 10
    assert max(abs(latent).max() for latent in others) <= SMALL.latent_range
    # golden: Philox words of (3, 0) in the domain of latents, through the first table
    assert one.latent.tolist() == GOLDEN
    assert np.array_equal(
        decode_latent(encode_latent(one.latent, frequencies), frequencies), one.latent
    )


GOLDEN = [-1, 1, 0, -1, 0]


def test_a_clip_of_a_text(model: SceneModel) -> None:
    symbols = model.symbols("golf in the pool", 5)
    clip = model.paint(symbols, frames=7, height=33, width=50, seed=5)
    assert (clip.frames, clip.height, clip.width) == (7, 33, 50)
    again = model.paint(symbols, frames=7, height=33, width=50, seed=5)
    other = model.paint(symbols, frames=7, height=33, width=50, seed=6)
    assert np.array_equal(clip.y, again.y)
    assert not np.array_equal(clip.y, other.y)  # the canvas's noise
    with pytest.raises(UsageError, match="latents"):
        model.paint(
            replace(symbols, latent=symbols.latent[:2]), frames=1, height=8, width=8, seed=0
        )
    with pytest.raises(UsageError, match="frames"):
        model.paint(symbols, frames=33, height=8, width=8, seed=0)


def test_it_is_a_gist_model_and_a_refiner(model: SceneModel, make_clip) -> None:
    clip = make_clip(frames=16, height=48, width=80)
    latent = model.describe(clip, "golf")
    assert latent.shape == (5,)
    assert abs(latent).max() <= 3
    size = {"frames": 16, "height": 48, "width": 80}
    y, u, v = model.gist(latent, "golf", seed=0, **size)
    assert (y.shape, u.shape, v.shape) == ((16, 48, 80), (16, 24, 40), (16, 24, 40))
    told = {"latent": latent, "text": None, "seed": 1}
    assert model.refine(clip, step=20.0, **told) is clip
    assert not np.array_equal(model.refine(clip, step=0.0, **told).y, clip.y)


def test_weights_files(model: SceneModel, tmp_path: Path) -> None:
    path = tmp_path / "scenes.safetensors"
    prior = ScenePrior(SMALL)
    save_scene_model(path, model.sentence, model.network, model.painter, prior)
    loaded = zoo.load_scenes(path=path)
    assert loaded.weights_hash == zoo.weights_hash(path)
    assert np.array_equal(loaded.symbols("golf", 3).latent, model.symbols("golf", 3).latent)
    with pytest.raises(ModelError):
        zoo.load_scenes(path=zoo.GIST)


def test_the_critics_learn_real_from_drawn_and_words_from_other_words() -> None:
    torch.manual_seed(0)
    critic = SceneCritic(4)
    optimizer = torch.optim.Adam(critic.parameters(), 3e-3, (0.5, 0.9))
    real = 128 + 40 * torch.randn(4, 2, 32, 32, 6)
    real[:2] += 40  # the first two are of other words than the last
    fake = 128 + 5 * torch.randn(4, 2, 32, 32, 6)
    said = torch.tensor([[1] * 6, [1] * 6, [2] * 6, [2] * 6]).clamp(max=2)
    for _ in range(30):
        other = critic(real, said.roll(2, 0)).match
        loss = critic_loss(critic(real, said), critic(fake, said), other)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right, drawn = critic(real, said), critic(fake, said)
        assert float(right.frame.mean()) > float(drawn.frame.mean()) + 0.5
        assert float(right.match.mean()) > float(critic(real, said.roll(2, 0)).match.mean())
        assert float(painter_loss(right)) < float(painter_loss(drawn))


def test_a_pool_is_kept_and_its_batches_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene_pool, "_CHUNK", 3)
    pool = scene_pool.build_pool(tmp_path, 1, "train", 3, masks=True)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    again = scene_pool.build_pool(tmp_path, 1, "train", 3, masks=True)
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert np.array_equal(pool.planes, again.planes)
    shape = (scene_pool.SIDE, scene_pool.SIDE)
    drawn = render(pool.scenes[0], scene_pool.FRAMES, shape, stride=scene_pool.STRIDE)
    y, u, v = rgb_to_clip(drawn).planes
    phases = (y[:, ::2, ::2], y[:, ::2, 1::2], y[:, 1::2, ::2], y[:, 1::2, 1::2])
    assert np.array_equal(np.stack([*phases, u, v], -1), pool.planes[0])
    assert pool.masks is not None
    assert 0.002 < pool.masks.mean() / 255 < 0.5
    data = SceneData.of(pool)
    batch = data.sample(2, 4, np.random.default_rng(0), apart=False)
    assert batch.window.shape == (2, 4, 32, 32, 6)
    assert batch.anchors.shape == (2, 8, 32, 32, 10)
    steps = batch.times.diff(dim=1)
    assert bool((steps > 0).all())
    assert torch.allclose(gist_of(batch.window).mean(), batch.window.mean(), atol=0.5)


def test_some_things_are_left_unsaid() -> None:
    said = np.full((4000, len(FACTORS)), 2)
    left = left_unsaid(said, np.random.default_rng(0))
    assert set(np.unique(left)) == {0, 2}
    share = (left == 0).mean(0)
    assert 0.1 < share[0] < 0.2 < share[2]
    assert 0.08 < (left == 0).all(1).mean() < 0.14
