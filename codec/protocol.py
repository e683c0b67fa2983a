"""What the codec asks of networks: a gist model (stage 1), a refiner (stage 2), and a viewer to
code for.

    describe(clip, text) -> latent integers        gist(latent, text, ...) -> blurry planes
    refine(sketch, ...)  -> the regenerated clip   distance(clip, sketch, ...) -> how far off it is

Anyone's model plugs in by offering these methods; nothing here knows how they are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import Clip

FloatPlanes = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


class GistModel(Protocol):
    """Stage 1: a description becomes a blurry guess of every frame."""

    @property
    def model_id(self) -> int:
        """1..255, append-only; 0 is reserved for "no model" (a mid-grey gist)."""

    @property
    def weights_hash(self) -> bytes:
        """First four bytes of the SHA-256 of the weights file."""

    @property
    def latent_frequencies(self) -> NDArray[np.uint16]:
        """(n, 2K + 1) positive integers, each row summing to 2**15: how often latent i takes
        the values -K..K. The latent layer is coded with exactly these."""

    def describe(self, clip: Clip) -> NDArray[np.int32]:
        """Latent symbols (n,), each in -K..K."""

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
        """Planes y (T, H, W), u and v (T, ceil(H/2), ceil(W/2)) on the 8-bit scale.

        Without a latent the model draws one from its prior given the text, with the
        counter-based generator seeded by `seed`.
        """


class Refiner(Protocol):
    """Stage 2: the sketch becomes a clip with the detail that was never sent."""

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
        """The regenerated clip, same geometry.

        Args:
            sketch: the decoded sketch.
            step: luma quantiser step of the residual, or of video of like quality, on the 8-bit
                scale (0: none was sent).
            kept: the frames that were decoded, in order, where the sketch came as video: between
                these it fades. () for a residual.
            latent, text: the description, where there is one.
            seed: of the noise that detail grows from.
            mode: fidelity, balanced or detail.
        """


class Viewer(Protocol):
    """Who an encoder that is tuned for the eye codes for."""

    def distance(self, clip: Clip, sketch: Clip, *, step: float, kept: Sequence[int]) -> float:
        """How far from a clip looks what a receiver will show of its sketch; 0 is the clip itself.

        Args:
            clip: the original.
            sketch: what its layers decode to.
            step, kept: as of `Refiner.refine`.
        """
