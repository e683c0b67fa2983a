"""Packets of a clip -> gist, sketch and regenerated clip; any prefix of the layers will do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import MAX_PIXELS, Clip
from gistcast.codec.errors import CorruptError, LimitError, ModelError
from gistcast.codec.header import check_tables, parse_header, residual_tables
from gistcast.codec.latent import decode_latent
from gistcast.codec.motion import Motion
from gistcast.codec.packet import (
    LATENT,
    RESIDUAL,
    TEXT,
    VIDEO,
    Packet,
    get_varint,
    kind_end,
)
from gistcast.codec.protocol import FloatPlanes, GistModel, Refiner
from gistcast.codec.quantiser import luma_step
from gistcast.codec.residual import ResidualDecoder
from gistcast.codec.sketch import GREY, synthesise
from gistcast.codec.text import decode_text
from gistcast.codec.video import Video, decode
from gistcast.codec.warp import make_warps


@dataclass(frozen=True)
class DecodedClip:
    """What a clip's packets say.

    Attributes:
        clip: the frames to show: refined, or the sketch without a refiner.
        sketch: gist plus residual.
        gist: stage 1's guess; the sketch, where it came as video; mid-grey without either.
        text, latent: the description, where sent.
        quantiser: of the residual; None without one.
        residual_layers: how many of the residual's layers were used.
        video: the sketch as AV1, where it came as that.
        motion: of the camera, where the residual is that of a canvas.
        symbols: per plane and band, the decoded levels (exact on every machine).
        damage: what was wrong, one line each; empty for a sound clip.
    """

    clip: Clip
    sketch: Clip
    gist: Clip
    text: str | None
    latent: NDArray[np.int32] | None
    quantiser: int | None
    residual_layers: int
    symbols: list[dict[tuple[int, int], NDArray[np.int32]]]
    damage: tuple[str, ...]
    video: Video | None = None
    motion: Motion | None = None

    @property
    def step(self) -> float:
        """Luma quantiser step on the 8-bit scale; 0 without a residual or video."""
        return _step(self.quantiser, self.video)

    @property
    def kept(self) -> tuple[int, ...]:
        """The frames that were decoded, where the sketch came as video; () for a residual."""
        return _kept(self.video)


class Decoder:
    """Decodes the clips of one stream, each on its own.

    Args:
        header: bytes of the stream header.
        model: the gist model, needed where the header names one.
        refiner: stage 2; without one the clip is the sketch.
        mode: fidelity, balanced or detail, for the refiner.
        max_pixels: luma samples of a frame, at most. Time and memory of a clip go by its samples,
            not by its bytes: who decodes for strangers sets a limit of their own.

    Raises:
        CorruptError: the header cannot be read.
        LimitError: frames are larger than `max_pixels`.
        ModelError: coded with other tables, or with a model that is not at hand.
    """

    def __init__(
        self,
        header: bytes,
        model: GistModel | None = None,
        refiner: Refiner | None = None,
        mode: str = "balanced",
        *,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.header, length = parse_header(header)
        if length != len(header):
            raise CorruptError("bytes follow the header", field="header", offset=length)
        if self.header.width * self.header.height > max_pixels:
            raise LimitError(
                f"frames of {self.header.width}x{self.header.height} exceed the limit of "
                f"{max_pixels} pixels"
            )
        check_tables(self.header)
        if self.header.model_id:
            self._check_model(model)
        self._model = model if self.header.model_id else None
        self._refiner, self._mode = refiner, mode
        self._text: str | None = None

    def _check_model(self, model: GistModel | None) -> None:
        want = (self.header.model_id, self.header.weights)
        if model is None or (model.model_id, model.weights_hash) != want:
            have = "none" if model is None else f"{model.model_id}:{model.weights_hash.hex()}"
            raise ModelError(
                f"the stream needs gist model {want[0]}:{want[1].hex()}, at hand: {have}"
            )

    def decode_clip(self, packets: Sequence[Packet], number: int | None = None) -> DecodedClip:
        """Decode what there is of a clip.

        Args:
            packets: of one clip, in any order; gaps end the prefix that is used.
            number: the clip's number (unwrapped); by default that of the packets.

        Raises:
            CorruptError: the packets disagree on the clip, or there are none.
        """
        if not packets or len({(p.clip % 256, p.frames) for p in packets}) != 1:
            raise CorruptError("packets are not of one clip", field="clip")
        number = packets[0].clip if number is None else number
        frames = packets[0].frames or self.header.clip_frames
        if frames > self.header.clip_frames:
            raise CorruptError("clip is longer than the stream allows", field="frames")
        layers = {p.layer: p.payload for p in packets}
        damage: list[str] = []
        text, latent = self._description(layers, damage)
        size = frames, self.header.height, self.header.width
        video = self._video(layers, frames, damage)
        residual, quantiser, used = None, None, 0
        if video is None:
            residual, quantiser, used = self._residual(layers, size, damage)
        # a residual is coded against the gist of a latent, or else against mid-grey: text alone
        # draws a gist only for clips that have nothing better
        gist: FloatPlanes | None = None
        if video is not None:
            y, u, v = (plane.astype(np.float32) for plane in video.clip.planes)
            gist = y, u, v
        elif latent is not None or residual is None:
            gist = self._gist(latent, text, frames, number)
        gist_clip = _rounded(gist) if gist is not None else _grey(*size)
        sketch = gist_clip
        # an empty residual changes nothing, and is not worth a clip's worth of zeros
        if residual is not None and quantiser is not None and residual.symbols.present.any():
            warps = make_warps(residual.motion, *size) if residual.motion is not None else None
            sketch = synthesise(residual.points, gist, residual.layout, quantiser, warps)
        clip = sketch
        if self._refiner is not None:
            clip = self._refiner.refine(
                sketch,
                step=_step(quantiser, video),
                kept=_kept(video),
                latent=latent,
                text=text,
                seed=self.header.seed + number,
                mode=self._mode,
            )
        return DecodedClip(
            clip=clip,
            sketch=sketch,
            gist=gist_clip,
            text=text,
            latent=latent,
            quantiser=quantiser,
            residual_layers=used,
            symbols=residual.symbols.signed if residual is not None else [],
            damage=tuple(damage),
            video=video,
            motion=residual.motion if residual is not None else None,
        )

    def _description(
        self, layers: dict[int, bytes], damage: list[str]
    ) -> tuple[str | None, NDArray[np.int32] | None]:
        text = latent = None
        if TEXT in layers:
            try:
                text = decode_text(layers[TEXT])
            except CorruptError as error:
                damage.append(str(error))
        if LATENT in layers and self._model is not None:
            try:
                latent = decode_latent(layers[LATENT], self._model.latent_frequencies)
            except CorruptError as error:
                damage.append(str(error))
        return text, latent

    def _gist(
        self, latent: NDArray[np.int32] | None, text: str | None, frames: int, number: int
    ) -> FloatPlanes | None:
        if self._model is None or (latent is None and text is None):
            return None
        return self._model.gist(
            latent,
            text,
            frames=frames,
            height=self.header.height,
            width=self.header.width,
            seed=self.header.seed + number,
        )

    def _video(self, layers: dict[int, bytes], frames: int, damage: list[str]) -> Video | None:
        """Decode video layers up to the first that is missing or damaged."""
        payloads = self._run(layers, VIDEO) if self.header.version > 1 else []
        while payloads:
            try:
                return decode(payloads, frames, self.header.height, self.header.width)
            except CorruptError as error:
                damage.append(str(error))
                payloads.pop()
        return None

    def _run(self, layers: dict[int, bytes], first: int) -> list[bytes]:
        """Payloads of the layers of a kind up to the first that is missing."""
        payloads: list[bytes] = []
        end = kind_end(first, self.header.version)
        while first + len(payloads) < end and first + len(payloads) in layers:
            payloads.append(layers[first + len(payloads)])
        return payloads

    def _residual(
        self,
        layers: dict[int, bytes],
        size: tuple[int, int, int],
        damage: list[str],
    ) -> tuple[ResidualDecoder | None, int | None, int]:
        """Decode residual layers up to the first that is missing or damaged."""
        payloads = self._run(layers, RESIDUAL)
        if not payloads:
            return None, None, 0
        if not payloads[0]:
            damage.append("residual is empty")
            return None, None, 0
        quantiser = payloads[0][0]
        while payloads:
            tables, moving = residual_tables(self.header.version), self.header.version > 1
            decoder = ResidualDecoder(*size, tables, quantiser, moving=moving)
            failed, problem = _decode_layers(decoder, payloads)
            if problem is None:
                return decoder, quantiser, len(payloads)
            damage.append(problem)
            del payloads[failed:]  # a layer may have been half read: once more without it
        return None, None, 0

    def conceal(self, frames: int, problem: str) -> DecodedClip:
        """A mid-grey stand-in for a clip that cannot be decoded at all."""
        frames = min(max(1, frames), self.header.clip_frames)
        grey = _grey(frames, self.header.height, self.header.width)
        return DecodedClip(grey, grey, grey, None, None, None, 0, [], (problem,))


def _decode_layers(decoder: ResidualDecoder, payloads: list[bytes]) -> tuple[int, str | None]:
    """Decode residual layers in order: where it failed, or their number, and how."""
    for index, payload in enumerate(payloads):
        try:
            groups, at = get_varint(payload, int(index == 0), len(decoder.layout.groups), "groups")
            decoder.layer(payload[at:], groups)
        except CorruptError as error:
            return index, str(error)
    return len(payloads), None


def _step(quantiser: int | None, video: Video | None) -> float:
    """Luma step on the 8-bit scale of what a sketch was coded with; 0 for nothing."""
    if quantiser is not None:
        return luma_step(quantiser)
    return 0.0 if video is None else video.step


def _kept(video: Video | None) -> tuple[int, ...]:
    return () if video is None else video.times


def _grey(frames: int, height: int, width: int) -> Clip:
    luma, chroma = (frames, height, width), (frames, (height + 1) // 2, (width + 1) // 2)
    return Clip(*(np.full(shape, GREY, np.uint8) for shape in (luma, chroma, chroma)))


def _rounded(planes: FloatPlanes) -> Clip:
    y, u, v = (np.clip(np.rint(p), 0, 255).astype(np.uint8) for p in planes)
    return Clip(y, u, v)
