"""The same bytes under other threads, libraries and compilers: `python tests/trust/devices.py`.

    this process --encodes--> streams      another process, set up otherwise --decodes--> hashes
                 <--- streams --- encodes ---

Hashes are over the symbols (text, latent, levels, motion, AV1 units) of every clip of all golden
files, and of a stream of the bundled gist model where there is torch. Samples of the sketch come
out of floating point: of these the largest difference is told. `--other PYTHON` runs the plain row
in another environment, such as one with another numpy.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
GOLDEN = HERE.parent / "golden"
STREET = ROOT / "app" / "assets" / "street.mp4"
sys.path.insert(0, str(GOLDEN))

#: row -> environment, and options of the process
ROWS: dict[str, tuple[dict[str, str], list[str]]] = {
    "1 thread": ({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}, []),
    "2 threads": ({"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}, []),
    "without oneDNN": ({}, ["--without-onednn"]),
    "torch.compile": ({}, ["--compile"]),
    "1 thread of OpenBLAS": ({"OPENBLAS_NUM_THREADS": "1"}, []),
    "2 threads of OpenBLAS": ({"OPENBLAS_NUM_THREADS": "2"}, []),
    "OpenBLAS for Nehalem": ({"OPENBLAS_CORETYPE": "Nehalem"}, []),
    "OpenBLAS for Haswell": ({"OPENBLAS_CORETYPE": "Haswell"}, []),
    "oneDNN for SSE4.1": ({"ONEDNN_MAX_CPU_ISA": "SSE41"}, []),
    "numba for any x86-64": ({"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}, []),
    "numba for Haswell": ({"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""}, []),
    "without numba's compiler": ({"NUMBA_DISABLE_JIT": "1"}, ["--small"]),
}
_SMALL = ("flat-odd", "text-64", "latent-clips")  # what uncompiled kernels can do in a minute


def main() -> None:
    """Print the table, or be one of its rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--other", metavar="PYTHON", action="append", default=[])
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    for option in ("--without-onednn", "--compile", "--small"):
        parser.add_argument(option, action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.folder:
        _row(args)
        return
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "in").mkdir()
        here = _facts(home, args)
        _table(home, here, args)


def _table(home: Path, here: dict[str, dict[str, str]], args: argparse.Namespace) -> None:
    rows = {name: ([sys.executable], *ROWS[name]) for name in args.rows}
    rows |= {python: ([python], {}, []) for python in args.other}
    wrong = 0
    for name, (command, environment, options) in rows.items():
        theirs = home / "theirs"
        done = subprocess.run(
            [*command, "-W", "ignore", str(Path(__file__)), "--folder", str(home), *options],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            print(f"{name}: failed")
            wrong += 1
            continue
        there = json.loads(done.stdout.splitlines()[-1])
        differ = [k for k, v in there["symbols"].items() if v != here["symbols"][k]]
        back = {p.name: _symbols(p.read_bytes())[0] for p in sorted(theirs.iterdir())}
        differ += [f"{k}, coded there" for k, v in there["coded"].items() if back[k] != v]
        same = sum((theirs / k).read_bytes() == (home / "in" / k).read_bytes() for k in back)
        error = max(abs(there["means"][k] - here["means"][k]) for k in there["means"])
        print(
            f"{name}: {len(there['symbols'])} streams decoded there and {len(back)} coded there, "
            f"{len(differ)} differ; {same} of those coded are the same bytes; means of luma differ "
            f"by {error:.1e} at most; {there['versions']}",
            flush=True,
        )
        print("\n".join(f"    {k}" for k in differ), end="\n" if differ else "")
        wrong += len(differ)
    sys.exit(bool(wrong))


def _row(args: argparse.Namespace) -> None:
    """Decode what was coded elsewhere, code the same clips, and print what came of it."""
    if args.without_onednn or args.compile:
        import torch

        torch.backends.mkldnn.enabled = not args.without_onednn  # type: ignore[assignment]
    facts = _facts(args.folder, args)
    if args.compile:
        from torch._dynamo.utils import counters

        graphs = counters["stats"]["unique_graphs"]
        if not graphs:
            sys.exit("nothing was compiled")
        facts["versions"] += f", {graphs} graphs compiled"  # type: ignore[operator]
    print(json.dumps(facts))


def _facts(home: Path, args: argparse.Namespace) -> dict[str, dict[str, str]]:
    """Hashes of the golden files and of the streams in `home`; streams coded here for others."""
    first = args.folder is None
    names = [*sorted(GOLDEN.glob("v*/*.gist"))]
    if args.small:
        names = [path for path in names if path.stem in _SMALL]
    streams = {f"{path.parent.name}/{path.name}": path.read_bytes() for path in names}
    target = home / ("in" if first else "theirs")
    target.mkdir(exist_ok=True)
    for path in target.iterdir():
        path.unlink()
    coded = _coded(args)
    for name, data in coded.items():
        (target / name).write_bytes(data)
    for path in sorted((home / "in").iterdir()):
        if path.name in coded:
            streams[path.name] = path.read_bytes()
    found = {name: _symbols(data, compiled=args.compile) for name, data in streams.items()}
    return {
        "symbols": {name: symbols for name, (symbols, _) in found.items()},
        "means": {name: mean for name, (_, mean) in found.items()},  # type: ignore[misc]
        "coded": {name: _symbols(data, compiled=args.compile)[0] for name, data in coded.items()},
        "versions": _versions(),  # type: ignore[dict-item]
    }


def _coded(args: argparse.Namespace) -> dict[str, bytes]:
    """Real frames as a residual, as AV1, and with the bundled model's latent."""
    from gistcast.codec.encoder import EncodeSettings
    from gistcast.codec.file import encode_video
    from gistcast.codec.media import VideoInfo, load_clip

    plain = frozenset({"video"})
    cases = {
        "small.gist": (16, 4, EncodeSettings(quality=30, without=plain)),
        "residual.gist": (64, 16, EncodeSettings(quality=30, without=plain)),
        "large.gist": (64, 16, EncodeSettings(clip_bytes=1200, preset="slow")),
        "latent.gist": (64, 16, EncodeSettings(quality=30, latent="on", text="a street")),
    }
    out = {}
    for name, (side, frames, settings) in cases.items():
        model = _gist(args.compile) if settings.latent == "on" else None
        if (args.small and side > 16) or (settings.latent == "on" and model is None):
            continue
        clip = load_clip(STREET, size=(side, side))[0][:frames]
        out[name] = encode_video([clip], VideoInfo(side, side, Fraction(25)), settings, model)
    return out


def _gist(compiled: bool):
    """The bundled gist model; None without torch."""
    try:
        import torch

        from gistcast.models.zoo import load_gist
    except ImportError:
        return None
    model = load_gist()
    if compiled:
        for method in ("encode", "decode", "text"):
            setattr(model.network, method, torch.compile(getattr(model.network, method)))
    return model


def _symbols(data: bytes, *, compiled: bool = False) -> tuple[str, float]:
    """Hash of the symbols of all clips, and the mean of their luma."""
    from make import symbol_hash
    from toy import ToyGist

    from gistcast.codec.file import decode_video, read_gist

    model = None
    if model_id := read_gist(data).header.model_id:
        model = ToyGist() if model_id == 255 else _gist(compiled)
    clips = list(decode_video(data, model))
    digest = hashlib.sha256("".join(map(symbol_hash, clips)).encode()).hexdigest()
    return digest, float(np.mean([clip.sketch.y.mean() for clip in clips]))


def _versions() -> str:
    """Of what takes part."""
    import av
    import numba
    import scipy

    found = {"numpy": np.__version__, "numba": numba.__version__, "scipy": scipy.__version__}
    found["av"] = av.__version__
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].__version__
    return ", ".join(f"{name} {version}" for name, version in found.items())


if __name__ == "__main__":
    main()
