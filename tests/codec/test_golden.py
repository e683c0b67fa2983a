"""Golden files: the same bytes give the same symbols, here and in other processes and threads."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from gistcast.codec.decoder import Decoder
from gistcast.codec.errors import ModelError
from gistcast.codec.file import decode_video, read_gist

GOLDEN = Path(__file__).parent.parent / "golden"
EXPECTED = {
    f"{path.parent.name}/{name}": facts
    for path in sorted(GOLDEN.glob("v*/symbols.json"))
    for name, facts in json.loads(path.read_text()).items()
}
NEWEST = [name for name in EXPECTED if name.startswith("v3/")]


def _module(name: str) -> ModuleType:
    sys.path.insert(0, str(GOLDEN))
    try:
        spec = importlib.util.spec_from_file_location(f"golden_{name}", GOLDEN / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(GOLDEN))


make = _module("make")


def test_every_file_is_listed() -> None:
    assert {f"{p.parent.name}/{p.stem}" for p in GOLDEN.glob("v*/*.gist")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_symbols(name: str) -> None:
    data = (GOLDEN / f"{name}.gist").read_bytes()
    decoded = list(decode_video(data, make.ToyGist()))
    assert [make.symbol_hash(d) for d in decoded] == EXPECTED[name]["symbols"]
    for clip, mean in zip(decoded, EXPECTED[name]["luma_mean"], strict=True):
        assert float(clip.sketch.y.mean()) == pytest.approx(mean, abs=0.02)


@pytest.mark.parametrize("name", NEWEST)
def test_encoder_still_writes_them(name: str) -> None:
    """Not part of the format, but a change of the encoder's output should be noticed."""
    from fractions import Fraction

    from gistcast.codec.file import encode_video
    from gistcast.codec.media import VideoInfo

    case = name.removeprefix("v3/")
    clips, settings = make.cases()[case]
    info = VideoInfo(clips[0].width, clips[0].height, Fraction(25))
    data = encode_video(clips, info, settings, make.ToyGist(), index=case == "layers-64")
    expected = EXPECTED[name]["bytes"]
    assert abs(len(data) - expected) <= max(8, 0.03 * expected)  # texts are 7 bytes shorter by now


def test_latent_file_needs_its_model() -> None:
    data = (GOLDEN / "v2" / "latent-64.gist").read_bytes()
    with pytest.raises(ModelError, match=r"255:746f7931"):
        Decoder(read_gist(data).header_bytes)


_SCRIPT = """
import importlib.util, json, sys
sys.path.insert(0, {golden!r})
if {torch}:
    import torch
    torch.set_num_threads({threads})
    torch.backends.mkldnn.enabled = {mkldnn}
import make
from gistcast.codec.file import decode_video
out = {{}}
for name in {names!r}:
    data = open(f"{{{golden!r}}}/{{name}}.gist", "rb").read()
    out[name] = [make.symbol_hash(d) for d in decode_video(data, make.ToyGist())]
print(json.dumps(out))
"""


@pytest.mark.parametrize(
    ("threads", "mkldnn", "core"),
    [(1, True, ""), (2, True, ""), (2, False, ""), (2, True, "Haswell"), (1, True, "Nehalem")],
)
def test_other_processes_and_threads(threads: int, mkldnn: bool, core: str) -> None:
    """One and two threads, oneDNN on and off, and other BLAS kernels give the same symbols."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))
    if core:
        environment["OPENBLAS_CORETYPE"] = core
    script = _SCRIPT.format(
        golden=str(GOLDEN), names=list(EXPECTED), torch=not core, threads=threads, mkldnn=mkldnn
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {name: facts["symbols"] for name, facts in EXPECTED.items()}
