"""The bundled networks by name: weights are loaded without pickle and checked against their hash.

models/weights/gist-1.safetensors      stage 1, model id 1
models/weights/refiner-3.safetensors   stage 2
models/weights/scenes-2.safetensors    both stages of the generator of scenes
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from gistcast.codec.errors import ModelError
from gistcast.models.gist import Gist, GistConfig, GistNetwork
from gistcast.models.judge import Judge, JudgeConfig
from gistcast.models.lpips import load_lpips
from gistcast.models.refine import GanRefiner
from gistcast.models.refiner import Generator, RefinerConfig
from gistcast.models.scene_model import SceneModel, scene_model_from
from gistcast.models.viewer import LpipsViewer

_C = TypeVar("_C")
_M = TypeVar("_M", bound=nn.Module)

WEIGHTS = Path(__file__).parent / "weights"
GIST, REFINER = WEIGHTS / "gist-1.safetensors", WEIGHTS / "refiner-3.safetensors"
JUDGE, SCENES = WEIGHTS / "judge-1.safetensors", WEIGHTS / "scenes-2.safetensors"

#: SHA-256 of the bundled files
HASHES = {
    GIST.name: "8388dc45dc560690ad57b15bcbb69ea0fe5f71644e27c0d1118f9b1845db6681",
    REFINER.name: "c816f6ba94b9632469a23bc29844edcc46245678e97f8fd158fac7bc6ca17b82",
    SCENES.name: "7a56168262a10465c06f55b012547070641eeadff9528cc05e2fc5a5d26b2d80",
    JUDGE.name: "8e57b1a87b7b2191ca44c97de74a7b55775de99f4ff12d9022477a19d1326603",
}


def weights_hash(path: Path) -> bytes:
    """First four bytes of the SHA-256 of a weights file.

    Raises:
        ModelError: no such file, or a bundled file that is not the one that was released.
    """
    if not path.is_file():
        raise ModelError(f"no weights at {path}")
    digest = hashlib.sha256(path.read_bytes())
    if path.parent == WEIGHTS and HASHES.get(path.name, "") != digest.hexdigest():
        raise ModelError(f"{path.name} is damaged or not the released file")
    return digest.digest()[:4]


def load_gist(device: torch.device | str = "cpu", path: Path = GIST) -> Gist:
    """Stage 1 with its weights.

    Raises:
        ModelError: the file is missing, damaged or not of this network.
    """
    mark = weights_hash(path)
    config, tensors = _read(path)
    network = GistNetwork(_configure(GistConfig, config, path))
    return Gist(_load(network, tensors, path), mark, device)


def load_refiner(device: torch.device | str = "cpu", path: Path = REFINER) -> GanRefiner:
    """Stage 2 with its weights.

    Raises:
        ModelError: the file is missing, damaged or not of this network.
    """
    weights_hash(path)
    config, tensors = _read(path)
    for key in ("widths", "blocks"):
        if key in config:
            config[key] = tuple(config[key])
    generator = Generator(_configure(RefinerConfig, config, path))
    return GanRefiner(_load(generator, tensors, path), device)


def load_viewer(device: torch.device | str = "cpu") -> LpipsViewer:
    """Who an encoder codes for that is tuned for the eye.

    Raises:
        ModelError: weights are missing or damaged.
    """
    return LpipsViewer(load_refiner(device), load_lpips("alex"))


def load_judge(path: Path = JUDGE) -> Judge:
    """The judge of scenes with its weights, on the CPU.

    Raises:
        ModelError: the file is missing, damaged or not of this network.
    """
    weights_hash(path)
    config, tensors = _read(path)
    config["widths"] = tuple(config.get("widths", ()))
    judge = Judge(_configure(JudgeConfig, config, path))
    return _load(judge, tensors, path).eval().requires_grad_(False)


def load_scenes(device: torch.device | str = "cpu", path: Path = SCENES) -> SceneModel:
    """The generator of scenes with its weights.

    Raises:
        ModelError: the file is missing, damaged or not of this network.
    """
    mark = weights_hash(path)
    config, tensors = _read(path)
    return scene_model_from(config, tensors, mark, device)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        with safe_open(str(path), framework="pt") as file:
            meta = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return json.loads(meta["config"]), tensors
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ModelError(f"{path} is not a weights file of gistcast: {error}") from error


def _configure(kind: type[_C], fields: dict[str, Any], path: Path) -> _C:
    try:
        return kind(**fields)
    except TypeError as error:
        raise ModelError(f"{path} describes another network: {error}") from error


def _load(module: _M, tensors: dict[str, torch.Tensor], path: Path) -> _M:
    kinds = {k: v.dtype for k, v in module.state_dict().items()}
    try:
        module.load_state_dict({k: v.to(kinds.get(k, v.dtype)) for k, v in tensors.items()})
    except RuntimeError as error:
        raise ModelError(f"{path} does not fit the network: {error}") from error
    return module
