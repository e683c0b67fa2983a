"""Stage 2 as the codec sees it (`gistcast.codec.protocol.Refiner`): numpy in, numpy out.

    Clip --fades carried along the motion--> --pad, pack, tile--> generator
        --crop, unpack, round--> Clip

Large frames are cut into tiles with as much context as the network can see, so that tiling changes
nothing and memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gistcast.codec.clip import Clip
from gistcast.codec.errors import UsageError
from gistcast.models.carry import carry
from gistcast.models.refiner import DIALS, Condition, Generator, pack, unpack

_MULTIPLE = 4  #: sides at half resolution are padded to this (two halvings)
_TILE = 128  #: side of a tile at half resolution
_CONTEXT = 28  #: what the network can see around a pixel, at half resolution


class GanRefiner:
    """A trained generator behind the codec's protocol.

    Args:
        generator: the network.
        device: where it runs.
    """

    def __init__(self, generator: Generator, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.generator = generator.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

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
        """The regenerated clip; see `gistcast.codec.protocol.Refiner.refine`.

        Raises:
            UsageError: unknown mode, or a latent of another length.
        """
        if mode not in DIALS:
            raise UsageError(f"mode must be one of {', '.join(DIALS)}, not {mode!r}")
        sketch = carry(sketch, kept)
        if step > 0:  # measured: beside a residual a text hurts a little, a latent does nothing
            latent = text = None
        condition = self._condition(step, latent, text, DIALS[mode], kept)
        height, width = (sketch.height + 1) // 2, (sketch.width + 1) // 2
        packed = packed_planes(sketch).to(self.device)
        grain = noise(seed, packed.shape[2], packed.shape[3]).to(self.device)
        out = torch.empty_like(packed)
        with torch.inference_mode(), self._precision():
            for inner, outer in _tiles(packed.shape[2], packed.shape[3]):
                rows, columns = outer
                made = self.generator(
                    packed[:, :, rows, columns], grain[:, :, rows, columns], condition
                )
                top, left = inner[0].start - rows.start, inner[1].start - columns.start
                tall, wide = inner[0].stop - inner[0].start, inner[1].stop - inner[1].start
                out[:, :, inner[0], inner[1]] = made[:, :, top : top + tall, left : left + wide]
        y, u, v = (p[0].round().clamp(0, 255).to(torch.uint8).cpu().numpy() for p in unpack(out))
        return Clip(
            np.ascontiguousarray(y[:, : sketch.height, : sketch.width]),
            np.ascontiguousarray(u[:, :height, :width]),
            np.ascontiguousarray(v[:, :height, :width]),
        )

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")

    def _condition(
        self,
        step: float,
        latent: NDArray[np.int32] | None,
        text: str | None,
        dial: float,
        kept: Sequence[int],
    ) -> Condition:
        count = self.generator.config.latents
        symbols = torch.zeros(1, count)
        if latent is not None:
            if latent.shape != (count,):
                raise UsageError(f"the refiner takes {count} latents, not {latent.shape}")
            symbols[0] = torch.from_numpy(latent.astype(np.float32))
        number = torch.tensor([step], dtype=torch.float32, device=self.device)
        dials = torch.full_like(number, dial)
        return Condition(number, dials, symbols.to(self.device), [text], [kept])


def packed_planes(clip: Clip) -> Tensor:
    """Clip -> (1, T, h, w, 6) float at half resolution, edges repeated to multiples of four."""
    rows = -(-((clip.height + 1) // 2) // _MULTIPLE) * _MULTIPLE
    columns = -(-((clip.width + 1) // 2) // _MULTIPLE) * _MULTIPLE
    planes = []
    for index, plane in enumerate(clip.planes):
        scale = 2 if index == 0 else 1
        extra = (0, columns * scale - plane.shape[2], 0, rows * scale - plane.shape[1])
        planes.append(
            functional.pad(torch.from_numpy(plane).float()[None], extra, mode="replicate")
        )
    return pack(planes[0], planes[1], planes[2])


def noise(seed: int, height: int, width: int) -> Tensor:
    """(1, 1, height, width, 4) standard normal from a counter-based generator, held over time."""
    generator = np.random.Generator(np.random.Philox(key=seed & (2**64 - 1)))
    return torch.from_numpy(generator.standard_normal((1, 1, height, width, 4), np.float32))


def _tiles(height: int, width: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """(kept, seen) windows that cover the frame; the seen one has the context around it."""
    for y in range(0, height, _TILE):
        for x in range(0, width, _TILE):
            bottom, right = min(height, y + _TILE), min(width, x + _TILE)
            yield (
                (slice(y, bottom), slice(x, right)),
                (
                    slice(max(0, y - _CONTEXT), min(height, bottom + _CONTEXT)),
                    slice(max(0, x - _CONTEXT), min(width, right + _CONTEXT)),
                ),
            )
