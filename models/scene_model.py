"""The generator of scenes behind one door: a text and a seed become symbols, symbols a clip.

    text --sentence encoder--> description --integer tables, Philox--> z     (integers: exact)
    description, z --stage 1--> gist --stage 2, noise by Philox--> clip      (to float noise)

As a `GistModel` its gist is stage 1's; as a `Refiner` it paints stage 2's clip where nothing but a
description was sent, and leaves a sketch that was corrected by a residual as it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from gistcast.codec.clip import MAX_FRAMES, Clip
from gistcast.codec.errors import ModelError, UsageError
from gistcast.codec.protocol import FloatPlanes
from gistcast.models.gist import integer_frequencies
from gistcast.models.refiner import pack, unpack
from gistcast.models.scene_batches import anchors, times_of
from gistcast.models.scene_gist import ANCHORS, Layers, SceneGist, SceneGistConfig, ScenePrior
from gistcast.models.scene_painter import NOISE, ScenePainter, ScenePainterConfig
from gistcast.models.scene_pool import SIDE
from gistcast.models.scenes.draws import Domain, Draws
from gistcast.models.sentence import FACTORS, Description, SentenceEncoder
from gistcast.models.training import placed

MODEL_ID = 2
_SHIFT = np.uint64(49)  # of a random word: 15 bits are left, as many as a table's sum has


@dataclass(frozen=True)
class Symbols:
    """What a text and a seed stand for, the same on every machine.

    Attributes:
        said: what the text says.
        latent: int32 (n,).
    """

    said: Description
    latent: NDArray[np.int32]


class SceneModel:
    """Both stages, the sentence encoder and the tables.

    Args:
        sentence: of texts.
        gist, painter: the stages.
        tables: uint16: `by_action` (11, figure, 2K + 1) and `by_place` (11, place, 2K + 1), rows
            that sum to 2**15.
        weights_hash: first four bytes of the SHA-256 of the weights file.
        device: where the networks run.
    """

    def __init__(
        self,
        sentence: SentenceEncoder,
        gist: SceneGist,
        painter: ScenePainter,
        tables: dict[str, NDArray[np.uint16]],
        weights_hash: bytes = bytes(4),
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.sentence, self._tables, self._hash = sentence, tables, weights_hash
        self.network = placed(gist, self.device).eval().requires_grad_(False)
        self.painter = placed(painter, self.device).eval().requires_grad_(False)

    @property
    def model_id(self) -> int:
        return MODEL_ID

    @property
    def weights_hash(self) -> bytes:
        return self._hash

    @property
    def latent_frequencies(self) -> NDArray[np.uint16]:
        """Of latents without a text."""
        return self.frequencies(Description())

    def frequencies(self, said: Description) -> NDArray[np.uint16]:
        """(n, 2K + 1) frequencies of latents beside a text that says this."""
        parts = self._tables["by_action"][said.action], self._tables["by_place"][said.surroundings]
        return np.concatenate(parts)

    def symbols(self, text: str | None, seed: int) -> Symbols:
        """Draw a clip's symbols, in integers throughout."""
        said = self.sentence.describe(text)
        frequencies = self.frequencies(said)
        words = Draws(seed & (2**64 - 1), 0, Domain.LATENT).words(len(frequencies))
        spots = (words >> _SHIFT).astype(np.int64)
        ends = frequencies.astype(np.int64).cumsum(1)
        index = (ends <= spots[:, None]).sum(1)
        return Symbols(said, (index - frequencies.shape[1] // 2).astype(np.int32))

    def describe(self, clip: Clip, text: str | None = None) -> NDArray[np.int32]:
        """Latent symbols (n,) of a clip of any size, for a decoder that knows the text."""
        chosen = np.arange(ANCHORS) * clip.frames // ANCHORS
        planes = [torch.from_numpy(np.ascontiguousarray(p[chosen])).float() for p in clip.planes]
        sides = (SIDE, SIDE // 2, SIDE // 2)
        scaled = [_resized(p[None], s, s) for p, s in zip(planes, sides, strict=True)]
        seen = anchors(pack(*scaled)).to(self.device)
        said = torch.tensor([self.sentence.describe(text)], device=self.device)
        with torch.inference_mode():
            z = self.network.encoder(seen, said)[0].round()
        return np.asarray(z.cpu().numpy(), np.int32)

    def gist(
        self,
        latent: NDArray[np.int32] | None,
        text: str | None,
        *,
        frames: int,
        height: int,
        width: int,
        seed: int,
    ) -> FloatPlanes:
        """See `gistcast.codec.protocol.GistModel.gist`.

        Raises:
            UsageError: a latent of the wrong length, or more than 32 frames.
        """
        layers, _, _ = self._layers(self._symbols(latent, text, seed), frames)
        return _planes(layers.gist, height, width)

    def paint(self, symbols: Symbols, *, frames: int, height: int, width: int, seed: int) -> Clip:
        """The clip that symbols describe, drawn at 64x64 and scaled to the size.

        Raises:
            UsageError: a latent of the wrong length, or more than 32 frames.
        """
        layers, z, said = self._layers(symbols, frames)
        times = times_of(frames).to(self.device)
        with torch.inference_mode():
            noise = self._noise(seed)
            planes = self.painter(layers, z, said, times, noise).clamp(0, 255)
        y, u, v = _planes(planes, height, width)
        return Clip(*(np.rint(plane).astype(np.uint8) for plane in (y, u, v)))

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
        if step > 0 or (latent is None and text is None):
            return sketch
        size = {"frames": sketch.frames, "height": sketch.height, "width": sketch.width}
        return self.paint(self._symbols(latent, text, seed), seed=seed, **size)

    def _symbols(self, latent: NDArray[np.int32] | None, text: str | None, seed: int) -> Symbols:
        if latent is None:
            return self.symbols(text, seed)
        return Symbols(self.sentence.describe(text), latent)

    def _layers(self, symbols: Symbols, frames: int) -> tuple[Layers, Tensor, Tensor]:
        latents = self.network.config.latents
        if symbols.latent.shape != (latents,):
            raise UsageError(f"scenes take {latents} latents")
        if not 1 <= frames <= MAX_FRAMES:
            raise UsageError(f"a clip has 1 to {MAX_FRAMES} frames, not {frames}")
        z = torch.from_numpy(symbols.latent.astype(np.float32))[None].to(self.device)
        said = torch.tensor([symbols.said], device=self.device)
        with torch.inference_mode():
            layers = self.network.decode(z, said, times_of(frames).to(self.device))
        return layers, z, said

    def _noise(self, seed: int) -> Tensor:
        """(1, 4, 32, 64) standard normal, by Box and Muller from Philox words."""
        shape = (1, NOISE, SIDE // 2, SIDE)
        uniform = Draws(seed & (2**64 - 1), 0, Domain.NOISE).uniforms(2, *shape)
        normal = np.sqrt(-2 * np.log(1 - uniform[0])) * np.cos(2 * np.pi * uniform[1])
        return torch.from_numpy(normal.astype(np.float32)).to(self.device)


def _resized(planes: Tensor, height: int, width: int) -> Tensor:
    """(N, T, h, w) -> (N, T, height, width), linear, averaged where it shrinks."""
    if planes.shape[2:] == (height, width):
        return planes
    return functional.interpolate(
        planes, (height, width), mode="bilinear", antialias=True, align_corners=False
    )


def _planes(packed: Tensor, height: int, width: int) -> FloatPlanes:
    """(1, T, h, w, 6) -> planes of a size, float32 within 0..255."""
    sizes = ((height, width), *[((height + 1) // 2, (width + 1) // 2)] * 2)
    y, u, v = (
        np.asarray(_resized(plane, *size).clamp(0, 255)[0].cpu().numpy(), np.float32)
        for plane, size in zip(unpack(packed), sizes, strict=True)
    )
    return y, u, v


def prior_tables(prior: ScenePrior) -> dict[str, NDArray[np.uint16]]:
    """A trained prior as integers."""
    config, out = prior.config, {}
    with torch.inference_mode():
        for name, factor in (("by_action", 0), ("by_place", 1)):
            said = torch.zeros(len(list(FACTORS.values())[factor]), len(FACTORS), dtype=torch.long)
            said[:, factor] = torch.arange(len(said))
            part = slice(None, config.figure) if factor == 0 else slice(config.figure, None)
            chances = prior.tables(said.to(prior.shared.device)).exp()[:, part].cpu()
            rows = integer_frequencies(chances.flatten(0, 1).double() * 2**15)
            out[name] = rows.reshape(chances.shape).numpy().astype(np.uint16)
    return out


def save_scene_model(
    path: Path,
    sentence: SentenceEncoder,
    gist: SceneGist,
    painter: ScenePainter,
    prior: ScenePrior,
) -> None:
    """Write a weights file; networks in half precision."""
    tensors = {f"gist.{k}": v.half() for k, v in gist.state_dict().items()}
    tensors |= {f"painter.{k}": v.half() for k, v in painter.state_dict().items()}
    arrays: dict[str, NDArray[Any]] = {
        f"tables.{k}": v.astype(np.int32) for k, v in prior_tables(prior).items()
    }
    arrays |= {"sentence.table": sentence.table, "sentence.bias": sentence.bias}
    tensors |= {k: torch.from_numpy(v) for k, v in arrays.items()}
    config = {"gist": asdict(gist.config), "painter": asdict(painter.config)}
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {k: v.cpu().contiguous() for k, v in tensors.items()}
    save_file(whole, str(path), metadata={"config": json.dumps(config)})


def scene_model_from(
    config: dict[str, Any],
    tensors: dict[str, Tensor],
    weights_hash: bytes,
    device: torch.device | str,
) -> SceneModel:
    """A model from what `save_scene_model` wrote.

    Raises:
        ModelError: it is of another network.
    """
    try:
        shape = SceneGistConfig(**_tuples(config["gist"]))
        gist, painter = (
            SceneGist(shape),
            ScenePainter(ScenePainterConfig(**_tuples(config["painter"])), shape),
        )
        gist.load_state_dict(_under(tensors, "gist."))
        painter.load_state_dict(_under(tensors, "painter."))
        tables = {k: v.numpy().astype(np.uint16) for k, v in _under(tensors, "tables.").items()}
        sentence = SentenceEncoder(
            tensors["sentence.table"].numpy(), tensors["sentence.bias"].numpy()
        )
    except (KeyError, TypeError, RuntimeError) as error:
        raise ModelError(f"this is no generator of scenes: {error}") from error
    return SceneModel(sentence, gist, painter, tables, weights_hash, device)


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    found = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    return {k: v.float() if v.is_floating_point() else v for k, v in found.items()}
