"""A stream's networks are found by the id and the hash in its header, or plainly missed."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import gistcast
from gistcast.cli import main
from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.decoder import Decoder
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.errors import ModelError, UsageError
from gistcast.codec.file import decode_video
from gistcast.codec.header import Header, parse_header
from gistcast.codec.media import VideoInfo, VideoWriter
from gistcast.models import zoo
from gistcast.models.scene_gist import SceneGist, SceneGistConfig, ScenePrior
from gistcast.models.scene_model import save_scene_model
from gistcast.models.scene_painter import ScenePainter, ScenePainterConfig
from gistcast.models.sentence import BUCKETS, CLASSES, SentenceEncoder
from gistcast.models.train_refiner import export_generator
from gistcast.networks import ScenesOrSketch, load_model, models_for

TEXT = "golf on grass"


def _write_toy(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    shape = SceneGistConfig(figure=3, place=2, latent_range=3, widths=(4, 4, 4), hidden=8)
    painter = ScenePainter(ScenePainterConfig((4, 4), (4, 4), 4), shape)
    table = np.random.default_rng(seed).integers(-200, 200, (BUCKETS, CLASSES)).astype(np.int16)
    sentence = SentenceEncoder(table, np.zeros(CLASSES, np.int32))
    save_scene_model(path, sentence, SceneGist(shape), painter, ScenePrior(shape))
    return path


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two generators of scenes that know nothing."""
    folder = tmp_path_factory.mktemp("weights")
    return [_write_toy(folder / f"toy-{seed}.safetensors", seed) for seed in range(2)]


@pytest.fixture(scope="module")
def coded(street: Clip, toys: list[Path]) -> bytes:
    """`street` as text and latent of the first toy."""
    settings = EncodeSettings(layers="latent", text=TEXT, seed=5)
    frames = clip_to_rgb(street)
    return gistcast.encode(frames, settings=settings, model="scenes", weights=toys[0])


def test_the_python_door(coded: bytes, toys: list[Path], street: Clip, tmp_path: Path) -> None:
    header, _ = parse_header(coded)
    assert (header.model_id, header.weights) == (2, zoo.weights_hash(toys[0]))
    model = zoo.load_scenes(path=toys[0])
    (decoded,) = decode_video(coded, model)
    assert decoded.text == TEXT
    sketch = gistcast.decode(coded, refine="off", weights=toys[0])
    assert np.array_equal(sketch, clip_to_rgb(decoded.sketch))
    painted = model.refine(
        decoded.sketch, step=0.0, latent=decoded.latent, text=TEXT, seed=header.seed
    )
    path = tmp_path / "street.gist"
    path.write_bytes(coded)
    (opened,) = gistcast.open(path, weights=str(toys[0]))
    assert np.array_equal(opened.clip.y, painted.y)
    assert not np.array_equal(opened.clip.y, opened.sketch.y)


def test_the_command_line(street: Clip, toys: list[Path], tmp_path: Path) -> None:
    source, coded, out = (tmp_path / name for name in ("in.y4m", "a.gist", "out.y4m"))
    writer = VideoWriter(source, VideoInfo(64, 64, Fraction(25)))
    writer.write(street)
    writer.close()
    told = ["--layers", "latent", "--text", TEXT, "--seed", "5"]
    mine = ["--model", "scenes", "--weights", str(toys[0])]
    assert main(["encode", str(source), "-o", str(coded), *told, *mine]) == 0
    assert parse_header(coded.read_bytes())[0].model_id == 2
    assert main(["decode", str(coded), "-o", str(out), "--weights", str(toys[0])]) == 0
    assert out.stat().st_size > 32 * 64 * 64


def test_other_weights_are_refused_by_their_hashes(
    coded: bytes, toys: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted, other = (zoo.weights_hash(path).hex() for path in toys)
    with pytest.raises(ModelError, match=rf"weights {wanted} of gist model 2 \(scenes\)"):
        gistcast.decode(coded)
    with pytest.raises(ModelError, match=f"at hand: toy-1.safetensors {other}"):
        gistcast.decode(coded, weights=toys[1])
    with pytest.raises(ModelError, match="no weights at"):
        gistcast.decode(coded, weights=tmp_path / "none")
    path = tmp_path / "a.gist"
    path.write_bytes(coded)
    assert main(["decode", str(path), "-o", str(tmp_path / "a.y4m")]) == 1
    assert wanted in capsys.readouterr().err
    assert not (tmp_path / "a.y4m").exists()


def test_missing_weights_are_said(
    coded: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(zoo, "SCENES", tmp_path / "none")
    with pytest.raises(ModelError, match="at hand: none"):
        gistcast.decode(coded)


def test_a_model_that_nobody_knows(coded: bytes) -> None:
    header, _ = parse_header(coded)
    strange = replace(header, model_id=9)
    with pytest.raises(ModelError, match=r"gist model 9 is unknown.*1 \(real\), 2 \(scenes\)"):
        models_for(strange, refine="off")


def test_bundled_weights_are_found_by_their_hash(street: Clip) -> None:
    for name, number in (("real", 1), ("scenes", 2)):
        settings = EncodeSettings(layers="text", text=TEXT)
        data = gistcast.encode(clip_to_rgb(street), settings=settings, model=name)
        assert parse_header(data)[0].model_id == number
        assert gistcast.decode(data, refine="off").shape == (32, 64, 64, 3)


def test_a_model_that_nothing_is_asked_of() -> None:
    with pytest.raises(UsageError, match="ask for a latent"):
        load_model(EncodeSettings(quality=20), model="scenes")
    with pytest.raises(UsageError, match="real, scenes"):
        load_model(EncodeSettings(latent="on"), model="cartoons")
    assert load_model(EncodeSettings(quality=20)) is None


def test_weights_of_stage_2_are_taken_and_none_for_nothing(street: Clip, tmp_path: Path) -> None:
    frames = clip_to_rgb(street)[:8]
    data = gistcast.encode(frames, settings=EncodeSettings(clip_bytes=300, preset="fast"))
    changed = zoo.load_refiner().generator
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.mul_(0.5)
    mine = tmp_path / "refiner.safetensors"
    export_generator(changed, mine)
    usual = gistcast.decode(data, device="cpu")
    assert np.array_equal(gistcast.decode(data, device="cpu", refiner=zoo.REFINER), usual)
    assert not np.array_equal(gistcast.decode(data, device="cpu", refiner=mine), usual)
    with pytest.raises(UsageError, match="refine is off"):
        gistcast.decode(data, refine="off", refiner=mine)
    with pytest.raises(UsageError, match="needs no gist model"):
        gistcast.decode(data, weights=mine)


def test_a_sketch_goes_to_the_refiner_of_real_video(street: Clip, toys: list[Path]) -> None:
    """A latent and a residual: the generator of scenes would leave the sketch as it is."""
    model = zoo.load_scenes(path=toys[0])
    settings = EncodeSettings(clip_bytes=300, latent="on", preset="fast")
    encoder = Encoder(VideoInfo(64, 64, Fraction(25)), settings, model)
    packets = encoder.encode_clip(street)
    header: Header = parse_header(encoder.header)[0]
    found, refiner = models_for(header, refine="balanced", device="cpu", weights=toys[0])
    assert isinstance(refiner, ScenesOrSketch)
    decoded = Decoder(encoder.header, found, refiner).decode_clip(packets)
    told = {"step": decoded.step, "latent": decoded.latent, "text": None, "seed": 0}
    expected = zoo.load_refiner().refine(decoded.sketch, **told)  # type: ignore[arg-type]
    assert np.array_equal(decoded.clip.y, expected.y)
    assert not np.array_equal(decoded.clip.y, decoded.sketch.y)
