import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from gistcast.codec.errors import UsageError
from gistcast.codec.media import VideoInfo, VideoWriter
from gistcast.models import pack
from gistcast.models.data import FrameStore
from gistcast.models.pairs import CodedPairs, Pair, Sketch, write_pair


@pytest.fixture
def source(cache: Path, make_clip) -> Path:
    """Data, its decoded stills and validation clips, and something like VGG weights."""
    (cache / "data" / "train").mkdir(parents=True)
    writer = VideoWriter(cache / "data/train/a.mp4", VideoInfo(48, 40, 25))  # type: ignore[arg-type]
    writer.write(make_clip(frames=8, height=40, width=48))
    writer.close()
    row = {"file": "train/a.mp4", "label": "", "caption": "a scene", "group": "g"}
    (cache / "data" / "manifest.json").write_text(json.dumps([row]))
    for suffix in (".yuv", ".json"):
        shutil.copy(cache / f"train{suffix}", cache / f"val-64{suffix}")
    rng = np.random.default_rng(0)
    weights = {
        "convolution.0.weight": rng.normal(0, [[[[0.1]]], [[[2]]]], (2, 3, 3, 3)),
        "convolution.0.bias": rng.normal(0, 1, 2),
    }
    save_file({k: v.astype(np.float16) for k, v in weights.items()}, str(cache / "vgg"))
    (cache / "coded-64").mkdir()
    for number in range(2):
        sketch = Sketch(make_clip(frames=8, seed=number + 5), 7.5, (1, 3, 5, 7))
        pair = Pair(make_clip(frames=8, seed=number), sketch, "a pair")
        write_pair(cache / "coded-64" / f"{number:05}.safetensors", pair)
    return cache


def test_a_pack_comes_back_nearly_as_it_was(source: Path) -> None:
    out = source / "pack"
    size = pack.make_pack(source / "data", source, source / "vgg", out, bare=True)
    assert size == sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    pack.unpack(out)
    for name in ("stills", "val-64"):
        before, after = (
            FrameStore(source / ("train" if name == "val-64" else name)),
            FrameStore(out / "work" / name),
        )
        assert [s.frames for s in after.sources] == [s.frames for s in before.sources]
        for a, b in zip(before.sources, after.sources, strict=True):
            index = np.arange(a.frames)
            for p, q in zip(before.planes(a, index), after.planes(b, index), strict=True):
                assert p.shape == q.shape
                assert np.abs(p.astype(int) - q).mean() < 3
    pairs = [CodedPairs(folder / "coded-64") for folder in (source, out / "work")]
    assert len(pairs[1]) == 2
    was, back = (each.read(1) for each in pairs)
    assert (back.sketch.step, back.sketch.kept, back.caption) == (7.5, (1, 3, 5, 7), "a pair")
    for one, other in ((was.clip, back.clip), (was.sketch.clip, back.sketch.clip)):
        assert np.abs(one.y.astype(int) - other.y).mean() < 3
    assert FrameStore(out / "work" / "train").sources[0].caption == "a scene"
    before_vgg = load_file(str(source / "vgg"))
    after_vgg = load_file(str(out / "work" / "lpips_vgg.safetensors"))
    for key, value in before_vgg.items():
        assert after_vgg[key].dtype == np.float16
        peak = np.abs(value).max(tuple(range(1, value.ndim)), keepdims=True)
        assert bool((np.abs(value - after_vgg[key]) <= peak / 200).all())
    stamp = (out / "work" / "stills.yuv").stat().st_mtime_ns
    pack.unpack(out)  # a second time nothing is decoded
    assert (out / "work" / "stills.yuv").stat().st_mtime_ns == stamp


def test_upright_pictures_are_laid_on_their_side(source: Path) -> None:
    rows = json.loads((source / "stills.json").read_text())
    rows[1]["height"], rows[1]["width"] = rows[1]["width"], rows[1]["height"]
    (source / "stills.json").write_text(json.dumps(rows))
    upright = FrameStore(source / "stills").planes(
        FrameStore(source / "stills").sources[1], np.arange(1)
    )[0]
    pack.make_pack(source / "data", source, source / "vgg", source / "pack", bare=True)
    pack.unpack(source / "pack")
    store = FrameStore(source / "pack" / "work" / "stills")
    lying = store.planes(store.sources[1], np.arange(1))[0]
    assert np.abs(lying.astype(int) - upright.swapaxes(1, 2)).mean() < 12  # x264 of noise
    assert lying.shape == (1, 60, 80)


def test_the_packed_code_stands_alone(source: Path) -> None:
    """It imports with torch, numpy, scipy and safetensors, wherever it was copied to."""
    out = source / "pack"
    pack.make_pack(source / "data", source, source / "vgg", out)
    lines = ["import sys", f"sys.path.insert(0, {str(out)!r})"]
    lines += [f"sys.modules[{name!r}] = None" for name in ("av", "constriction", "google_crc32c")]
    lines += ["from gistcast.models import pack, run_refiner", "print(run_refiner.__file__)"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(out))
    assert not (out / "gistcast" / "models" / "scenes").exists()


#: not on a borrowed machine: there, these cannot be imported
ABSENT = ("aiohttp", "aiortc", "av", "constriction", "google_crc32c", "numba", "scipy", "tqdm")


class Borrowed:
    """A machine that has torch, numpy and safetensors, and renders four scenes at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        for name in ABSENT:
            (folder / f"{name}.py").write_text(f"raise ImportError({name!r})")
        (folder / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (folder / "python3").chmod(0o755)
        self._env = {"PATH": f"{folder}:/usr/bin:/bin", "PYTHONPATH": str(folder)}

    def run(self, pack_folder: Path, *command: str) -> str:
        """What a command says on standard error."""
        renders = pack_folder / "gistcast" / "models" / "scene_pool.py"
        renders.write_text(re.sub(r"(?m)^_CHUNK = \d+$", "_CHUNK = 4", renders.read_text()))
        done = subprocess.run(
            command, env=self._env, cwd=pack_folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stderr


def test_a_pack_trains_scenes_and_is_gone_on_with(tmp_path: Path) -> None:
    machine, first, second = Borrowed(tmp_path / "machine"), tmp_path / "1", tmp_path / "2"
    assert pack.make_scenes_pack(first) < 4 << 20
    shape = ["--clips", "4", "--guide-steps", "1", "--painter-steps", "1", "--device", "cpu"]
    shape += ["--gist-batch", "2", "--painter-batch", "1"]
    said = machine.run(first, "sh", "scenes.sh", *shape, "--gist-steps", "1")
    assert "stage 2: 1 of 1 steps" in said
    run = first / "work" / "run-scenes"
    assert all(f.stat().st_size < 16 << 20 for f in run.rglob("*") if f.is_file())
    pack.make_scenes_pack(second, run)
    assert not (second / "work" / "scenes").exists()  # renders are made where it runs
    said = machine.run(second, "sh", "scenes.sh", *shape, "--gist-steps", "2", "--minutes", "0")
    assert "stage 1: 1 of 2 steps" in said  # gone on with: one step is done
    # what --export and --strip take, which would need half a minute here
    machine.run(second, "python3", "-c", "import gistcast.eval.png, gistcast.models.train_sentence")


def test_a_run_that_is_not_there_is_not_packed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="checkpoint"):
        pack.make_scenes_pack(tmp_path / "pack", tmp_path / "none")
    with pytest.raises(UsageError, match="exists"):
        pack.make_scenes_pack(tmp_path)


def test_what_cannot_be_packed_is_said(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = (source / "data", source)
    with pytest.raises(UsageError, match="VGG"):
        pack.make_pack(*given, source / "none", source / "pack")
    with pytest.raises(UsageError, match="exists"):
        pack.make_pack(*given, source / "vgg", source)
    monkeypatch.setattr(pack, "LIMIT", 1000)
    with pytest.raises(UsageError, match="bytes"):
        pack.make_pack(*given, source / "vgg", source / "pack", bare=True)
