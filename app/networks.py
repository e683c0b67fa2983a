"""The networks of a stream: what describes its clips, who it is coded for, and what its header
asks for.

header --model id--> kind of model --weights hash--> file: a bundled one, or one that is named
description alone --> the model's own stage 2      sketch --> the refiner of real video
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.codec.encoder import EncodeSettings
from gistcast.codec.errors import ModelError, UsageError
from gistcast.codec.header import Header
from gistcast.codec.protocol import GistModel, Refiner, Viewer

if TYPE_CHECKING:
    import torch

#: what stage 2 can be asked to favour
REFINE = ("fidelity", "balanced", "detail", "off")

REAL, SCENES = "real", "scenes"
#: Gist models by the id in stream headers; append-only.
MODELS = {1: REAL, 2: SCENES}


@dataclass(frozen=True)
class _Kind:
    """A gist model: its bundled weights and what loads a file of them."""

    bundled: Path
    load: Callable[[torch.device, Path], GistModel]


def _kind(name: str) -> _Kind:
    from gistcast.models import zoo

    kinds = {
        REAL: _Kind(zoo.GIST, zoo.load_gist),
        SCENES: _Kind(zoo.SCENES, zoo.load_scenes),
    }
    return kinds[name]


def load_model(
    settings: EncodeSettings,
    device: str = "auto",
    model: str = REAL,
    weights: str | Path | None = None,
) -> GistModel | None:
    """The gist model to encode with, if the settings need one (imports torch only then).

    Args:
        device: auto, cpu or cuda.
        model: one of `MODELS`, by name: real or scenes.
        weights: file with weights of it, in place of the bundled ones.

    Raises:
        UsageError: no such model, or one is asked for that the settings do not use.
        ModelError: its weights are missing, damaged, or of another model.
    """
    if model not in MODELS.values():
        raise UsageError(f"model must be one of {', '.join(MODELS.values())}, not {model!r}")
    if settings.latent == "off" and settings.layers == "residual":
        if model != REAL or weights is not None:
            raise UsageError(f"nothing is sent that model {model!r} describes: ask for a latent")
        return None
    from gistcast.models.training import pick_device

    kind = _kind(model)
    return kind.load(pick_device(device), kind.bundled if weights is None else Path(weights))


class FirstAsked:
    """A viewer that loads its networks when it is first asked: many clips are not worth a question.

    Args:
        device: auto, cpu or cuda.
    """

    def __init__(self, device: str = "auto") -> None:
        self._device = device
        self._viewer: Viewer | None = None

    def distance(self, clip: Clip, sketch: Clip, *, step: float, kept: Sequence[int]) -> float:
        """See `gistcast.codec.protocol.Viewer.distance`.

        Raises:
            ModelError: weights are missing or damaged.
        """
        if self._viewer is None:
            from gistcast.models.training import pick_device
            from gistcast.models.zoo import load_viewer

            self._viewer = load_viewer(pick_device(self._device))
        return self._viewer.distance(clip, sketch, step=step, kept=kept)


def viewer_of(settings: EncodeSettings, device: str = "auto") -> Viewer | None:
    """Who to code for, if the settings leave a viewer any choice (imports torch when asked)."""
    return FirstAsked(device) if settings.tune != "psnr" and settings.chooses else None


def models_for(
    header: Header,
    *,
    refine: str,
    device: str = "auto",
    weights: str | Path | None = None,
    refiner: str | Path | None = None,
) -> tuple[GistModel | None, Refiner | None]:
    """The networks that decoding a stream takes: its gist model, and the refiner unless off.

    Args:
        refine: one of `REFINE`.
        device: auto, cpu or cuda.
        weights: file with weights of the model, to look in beside the bundled ones.
        refiner: file with weights of stage 2, in place of the bundled ones.

    Raises:
        UsageError: `refine` is not one of `REFINE`, or weights are named that are not used.
        ModelError: the header names a model, or weights, that are not at hand; a file is not of
            its network.
    """
    if refine not in REFINE:
        raise UsageError(f"refine must be one of {', '.join(REFINE)}, not {refine!r}")
    if weights is not None and not header.model_id:
        raise UsageError("the stream needs no gist model, so weights of one are of no use to it")
    if refiner is not None and refine == "off":
        raise UsageError("refine is off, so weights of a refiner are of no use")
    model = _model_of(header, device, weights) if header.model_id else None
    if refine == "off":
        return model, None
    from gistcast.models.scene_model import SceneModel
    from gistcast.models.training import pick_device
    from gistcast.models.zoo import REFINER, load_refiner

    stage2 = load_refiner(pick_device(device), REFINER if refiner is None else Path(refiner))
    return model, ScenesOrSketch(model, stage2) if isinstance(model, SceneModel) else stage2


def _model_of(header: Header, device: str, weights: str | Path | None) -> GistModel:
    """The model of a header's id, with the weights of its hash."""
    from gistcast.models.training import pick_device
    from gistcast.models.zoo import weights_hash

    name = MODELS.get(header.model_id)
    if name is None:
        known = ", ".join(f"{key} ({value})" for key, value in MODELS.items())
        raise ModelError(
            f"the stream's gist model {header.model_id} is unknown here; known: {known}"
        )
    kind = _kind(name)
    seen = []
    for path in (*([Path(weights)] if weights is not None else []), kind.bundled):
        if path != kind.bundled or path.is_file():
            mark = weights_hash(path)
            if mark == header.weights:
                return kind.load(pick_device(device), path)
            seen.append(f"{path.name} {mark.hex()}")
    needs = f"weights {header.weights.hex()} of gist model {header.model_id} ({name})"
    raise ModelError(f"the stream needs {needs}; at hand: {', '.join(seen) or 'none'}")


class ScenesOrSketch:
    """Stage 2 of a stream of scenes: what only a description was sent of is painted by the
    generator of scenes; a sketch goes through the refiner of real video.

    Args:
        scenes: the stream's model.
        refiner: of sketches.
    """

    def __init__(self, scenes: Refiner, refiner: Refiner) -> None:
        self._scenes, self._refiner = scenes, refiner

    def refine(
        self,
        sketch: Clip,
        *,
        step: float,
        kept: Sequence[int] = (),
        latent: NDArray[np.int32] | None,
        text: str | None,
        seed: int,
        mode: str = "balanced",
    ) -> Clip:
        """See `gistcast.codec.protocol.Refiner.refine`."""
        chosen = self._refiner if step > 0 else self._scenes
        told = {"step": step, "kept": kept, "latent": latent, "text": text}
        return chosen.refine(sketch, **told, seed=seed, mode=mode)  # type: ignore[arg-type]
