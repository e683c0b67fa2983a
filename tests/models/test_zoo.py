from pathlib import Path

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.errors import ModelError
from gistcast.models import zoo
from gistcast.models.imitate import imitated_sketch
from gistcast.models.lpips import load_lpips
from gistcast.models.validate import measure


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no weights"):
        zoo.load_gist(path=tmp_path / "none")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ModelError, match="not a weights file"):
        zoo.load_refiner(path=tmp_path / "text")
    with pytest.raises(ModelError, match="another network"):
        zoo.load_gist(path=zoo.REFINER)


def test_a_bundled_file_must_be_the_released_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / zoo.GIST.name
    damaged.write_bytes(zoo.GIST.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path)
    with pytest.raises(ModelError, match="damaged"):
        zoo.load_gist(path=damaged)


def test_the_files_are_small_and_have_cards() -> None:
    for path in (zoo.GIST, zoo.REFINER, zoo.JUDGE):
        assert path.stat().st_size < 4 << 20
        assert len(zoo.weights_hash(path)) == 4
        card = path.with_suffix(".md").read_text()
        assert "research" in card.lower() or "no licence applies but its own" in card


def test_the_gist_says_more_than_the_mean_colour(make_clip) -> None:
    gist, clip = zoo.load_gist(), make_clip()
    planes = gist.gist(gist.describe(clip), None, frames=32, height=64, width=64, seed=0)
    drawn = Clip(*(np.clip(np.rint(p), 0, 255).astype(np.uint8) for p in planes))
    flat = Clip(*(np.full_like(p, round(float(p.mean()))) for p in clip.planes))
    assert measure(drawn, clip, None).psnr > measure(flat, clip, None).psnr


def test_the_refiner_helps(make_clip) -> None:
    refiner, clip, lpips = zoo.load_refiner(), make_clip(), load_lpips("alex")
    sketch = imitated_sketch(clip, 120)
    told = {"step": 120.0, "latent": None, "text": None, "seed": 0}
    before = measure(sketch, clip, lpips, every=16)
    fidelity = measure(refiner.refine(sketch, **told, mode="fidelity"), clip, None)
    balanced = measure(refiner.refine(sketch, **told), clip, lpips, every=16)
    assert fidelity.psnr > before.psnr
    assert balanced.lpips is not None and before.lpips is not None
    assert balanced.lpips < before.lpips
