"""Networks of CompressAI's zoo, from weights that the user has.

`import compressai` drags in torchvision, torch-geometric and pandas, which its codecs do not use;
torchvision's binary moreover refuses a torch it was not built for. So the packages whose
`__init__` does that are stood in for by empty ones over the same folders, unless somebody has
imported CompressAI already, and the modules that hold networks are imported as they are.

Weights are safetensors: nothing here unpickles. `examples/compressai_weights.py` turns the zoo's
own files into them.

Source: CompressAI 1.2.8 (Bégaint et al., arXiv:2011.03029).
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from gistcast.codec.errors import GistcastError, ModelError, UsageError

IMAGE_NETWORKS = (
    "bmshj2018-factorized",
    "bmshj2018-hyperprior",
    "mbt2018-mean",
    "mbt2018",
    "cheng2020-anchor",
    "cheng2020-attn",
)
VIDEO_NETWORKS = ("ssf2020",)
LOSSES = ("mse", "ms-ssim")  #: what the zoo's networks were trained for

VERSION = "1.2.8"
INSTALL = f"pip install --no-deps compressai=={VERSION}"
CONVERT = "python examples/compressai_weights.py *.pth.tar"

_MODELS = ("google", "waseda", "video.google")
_LOADED = 4  # networks kept in memory, a hundred megabytes each


def available() -> str:
    """An empty string where CompressAI is installed, or else what to do."""
    if "compressai" not in sys.modules and importlib.util.find_spec("compressai") is None:
        return f"CompressAI is not installed: {INSTALL}"
    return ""


def find_weights(network: str, loss: str, weights: Path | None) -> dict[int, Path]:
    """Files of a network's operating points, by quality (1 is the coarsest).

    Args:
        network: its name in the zoo.
        loss: mse or ms-ssim.
        weights: a folder of files named as in the zoo (`mbt2018-mean-3-723404a8.safetensors`; the
            hash may be left out), or one such file.

    Raises:
        UsageError: there are none; the message names the files and where they are from.
    """
    if weights is None or not weights.exists():
        raise UsageError(_what_to_get(network, loss, weights))
    files = sorted(weights.rglob("*.safetensors")) if weights.is_dir() else [weights]
    found: dict[int, Path] = {}
    for path in files:
        quality = _quality(path.stem, network, loss)
        if quality is not None:
            if quality in found:
                raise UsageError(f"{found[quality]} and {path} are both {network} {quality}")
            found[quality] = path
    if not found:
        raise UsageError(_what_to_get(network, loss, weights))
    return dict(sorted(found.items()))


def _quality(stem: str, network: str, loss: str) -> int | None:
    """The quality in a file's name, if the file is of that network and loss."""
    stem = stem.replace("_", "-")  # the zoo writes cheng2020-attn both ways
    match = re.fullmatch(rf"{re.escape(network)}-(?:(prior|mse|ms-ssim)-)?(\d)(?:-\w+)?", stem)
    if match is None or (match[1] == "ms-ssim") != (loss == "ms-ssim"):
        return None
    return int(match[2])


def _what_to_get(network: str, loss: str, weights: Path | None) -> str:
    urls = _zoo_urls(network, loss)
    where, names = urls[0].rpartition("/")[0], [url.rpartition("/")[2] for url in urls]
    here = f"there are none in {weights}" if weights else "name their folder with --weights"
    return (
        f"compressai:{network} needs its weights: {here}. Get {', '.join(names)} (one suffices) "
        f"from {where}, and convert them: {CONVERT}"
    )


def _zoo_urls(network: str, loss: str) -> list[str]:
    zoo = import_module(f"{package().__name__}.zoo.{_zoo_module(network)}")
    return list(zoo.model_urls[network].get(loss, {}).values()) or [f"(no {loss} network)"]


def _zoo_module(network: str) -> str:
    return "video" if network in VIDEO_NETWORKS else "image"


def fingerprint(path: Path) -> str:
    """The first twelve digits of a file's SHA-256."""
    return _fingerprint(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _fingerprint(path: Path, _changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def load_network(network: str, path: Path) -> Any:
    """The network of a weights file, ready to code, on the CPU.

    Raises:
        ModelError: it is not a safetensors file, or not of that network.
    """
    return _load_network(network, path, fingerprint(path))


@lru_cache(maxsize=_LOADED)
def _load_network(network: str, path: Path, _: str) -> Any:
    zoo = import_module(f"{package().__name__}.zoo.{_zoo_module(network)}")
    rename = import_module(f"{package().__name__}.zoo.pretrained").load_pretrained
    try:
        state = rename(load_file(path))
        with quiet():
            model = zoo.model_architectures[network].from_state_dict(state)
            model.update()  # tables of probabilities, where the file has none
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is not a safetensors file ({error}): {CONVERT}") from error
    except (KeyError, RuntimeError, ValueError, IndexError) as error:
        raise ModelError(f"{path} is not a {network}: {error}") from error
    _check(model, path)
    return model.eval()


def _check(model: Any, path: Path) -> None:
    """Refuse what would bring down the process: the rANS encoder aborts on a single symbol."""
    for name, table in model.named_buffers():
        if name.endswith("entropy_bottleneck._quantized_cdf") and len(table) < 2:
            raise ModelError(f"{path}: {name} is of fewer than two channels")
    if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
        raise ModelError(f"{path} holds weights that are not finite")


@contextmanager
def quiet() -> Iterator[None]:
    """CompressAI tells of slow autoregressive coding; whoever reads the seconds knows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@lru_cache(maxsize=1)
def package() -> ModuleType:
    """The `compressai` package, with its networks and its zoo imported.

    Raises:
        GistcastError: it is not installed.
    """
    if reason := available():
        raise GistcastError(reason)
    if "compressai" not in sys.modules:
        _stand_in()
    found = sys.modules["compressai"]
    with quiet():
        for name in _MODELS:
            import_module(f"compressai.models.{name}")
        _export()
        for name in ("image", "video", "pretrained"):
            import_module(f"compressai.zoo.{name}")
    return found


def _stand_in() -> None:
    """Empty packages over CompressAI's folders."""
    spec = importlib.util.find_spec("compressai")
    assert spec is not None and spec.submodule_search_locations
    root = Path(next(iter(spec.submodule_search_locations)))
    for name in ("", ".models", ".models.video", ".zoo", ".registry"):
        module = ModuleType(f"compressai{name}")
        module.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[module.__name__] = module
    top, registry = sys.modules["compressai"], sys.modules["compressai.registry"]
    top.get_entropy_coder = lambda: "ans"  # type: ignore[attr-defined]
    top.available_entropy_coders = lambda: ["ans"]  # type: ignore[attr-defined]
    for kind in ("model", "module"):
        setattr(registry, f"register_{kind}", lambda _name: lambda cls: cls)


def _export() -> None:
    """What the packages' `__init__` would import from their modules."""
    for source, target in (("google", ""), ("waseda", ""), ("video.google", ".video")):
        module = sys.modules[f"compressai.models.{source}"]
        for name, value in vars(module).items():
            if isinstance(value, type):
                setattr(sys.modules[f"compressai.models{target}"], name, value)
