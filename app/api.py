"""The Python door: encode, decode, open, and an encoder that takes frames one by one."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.colour import clip_to_rgb, rgb_to_clip
from gistcast.codec.decoder import DecodedClip, Decoder
from gistcast.codec.encoder import Encoder as ClipEncoder
from gistcast.codec.encoder import EncodeSettings
from gistcast.codec.errors import UsageError
from gistcast.codec.file import GistFile, decode_coded, read_gist
from gistcast.codec.header import parse_header
from gistcast.codec.media import VideoInfo
from gistcast.codec.packet import Packet
from gistcast.networks import REFINE as REFINE
from gistcast.networks import load_model as load_model
from gistcast.networks import models_for as models_for
from gistcast.networks import viewer_of as viewer_of

Frames = NDArray[np.uint8]


class Encoder:
    """Stateful: takes frames, gives the packets of each clip as it is full.

    Args:
        width, height: of the frames.
        fps: frames a second.
        settings: see `EncodeSettings`.
        device: auto, cpu or cuda, for the gist model where one is used, and for the viewer.
        model: real or scenes: which gist model describes the clips, where the settings say so.
        weights: file with weights of that model, in place of the bundled ones.

    Raises:
        UsageError: arguments that make no sense.
        ModelError: the model's weights are missing, damaged, or of another model.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        fps: float | Fraction = 25,
        settings: EncodeSettings | None = None,
        device: str = "auto",
        model: str = "real",
        weights: str | Path | None = None,
    ) -> None:
        settings = settings or EncodeSettings()
        info = VideoInfo(width, height, Fraction(fps).limit_denominator(1001))
        described = load_model(settings, device, model, weights)
        self._encoder = ClipEncoder(info, settings, described, viewer_of(settings, device))
        self._pending: list[Frames] = []

    @property
    def header(self) -> bytes:
        """The stream header, to be sent before the first packet."""
        return self._encoder.header

    def encode(self, frame: Frames) -> list[Packet]:
        """Take one uint8 RGB frame (H, W, 3); the packets of a clip when it is the last of one."""
        self._pending.append(frame)
        if len(self._pending) == self._encoder.settings.clip_frames:
            return self.flush()
        return []

    def flush(self) -> list[Packet]:
        """Packets of the frames still held, as a shorter clip."""
        if not self._pending:
            return []
        clip = rgb_to_clip(np.stack(self._pending))
        self._pending = []
        return self._encoder.encode_clip(clip)

    def to_bytes(self, packets: list[Packet]) -> bytes:
        """Serialise packets as they stand in a `.gist` file behind the header."""
        return b"".join(p.to_bytes(self.header) for p in packets)


def encode(
    frames: Frames,
    *,
    fps: float | Fraction = 25,
    quality: float | None = None,
    clip_bytes: int | None = None,
    bitrate: float | None = None,
    text: str | None = None,
    settings: EncodeSettings | None = None,
    device: str = "auto",
    model: str = "real",
    weights: str | Path | None = None,
) -> bytes:
    """Code RGB frames as a `.gist` file.

    Args:
        frames: uint8 (T, H, W, 3).
        fps: frames a second.
        quality: 0..100 (50 when nothing else is given).
        clip_bytes: limit on the bytes of every clip instead.
        bitrate: bits a second instead.
        text: description of the video.
        settings: everything else; excludes the four before.
        device, model, weights: as of `Encoder`.

    Raises:
        UsageError: arguments that make no sense.
        ModelError: the model's weights are missing, damaged, or of another model.
    """
    shape = getattr(frames, "shape", type(frames).__name__)
    if isinstance(shape, str) or len(shape) != 4 or not len(frames):
        raise UsageError(f"frames must be a uint8 array (T, H, W, 3), not {shape}")
    asked = {"quality": quality, "clip_bytes": clip_bytes, "bitrate": bitrate, "text": text}
    if settings is None:
        settings = EncodeSettings(**asked)  # type: ignore[arg-type]
    elif given := [name for name, value in asked.items() if value is not None]:
        raise UsageError(f"settings say it all: {given[0]} belongs into them")
    height, width = frames.shape[1:3]
    encoder = Encoder(
        width, height, fps=fps, settings=settings, device=device, model=model, weights=weights
    )
    out = [encoder.header]
    for frame in frames:
        out.append(encoder.to_bytes(encoder.encode(frame)))
    out.append(encoder.to_bytes(encoder.flush()))
    return b"".join(out)


def decode(
    data: bytes,
    *,
    refine: str = "balanced",
    device: str = "auto",
    weights: str | Path | None = None,
    refiner: str | Path | None = None,
) -> Frames:
    """Decode a `.gist` file to RGB frames, uint8 (T, H, W, 3).

    Args:
        refine: what stage 2 favours: fidelity, balanced or detail; off leaves the sketch.
        device: auto, cpu or cuda.
        weights: file with weights of the stream's gist model, where it is not a bundled one.
        refiner: file with weights of stage 2, in place of the bundled ones.

    Raises:
        UsageError: another word for `refine`, or weights that are not used.
        CorruptError: not a readable `.gist` file.
        ModelError: coded with tables or a model that are not at hand.
    """
    video = Video(data, refine=refine, device=device, weights=weights, refiner=refiner)
    return np.concatenate([clip_to_rgb(c.clip) for c in video])


class Video:
    """An opened `.gist` file: iterate over its decoded clips, or pick one.

    Attributes:
        header: geometry, frame rate, clip length.
        coded: the clips' packets and what was damaged.
    """

    def __init__(
        self,
        data: bytes,
        *,
        refine: str = "balanced",
        device: str = "auto",
        weights: str | Path | None = None,
        refiner: str | Path | None = None,
    ) -> None:
        self.coded: GistFile = read_gist(data)
        self.header = self.coded.header
        model, stage2 = models_for(
            self.header, refine=refine, device=device, weights=weights, refiner=refiner
        )
        self._decoder = Decoder(self.coded.header_bytes, model, stage2, refine)

    def __len__(self) -> int:
        return len(self.coded.clips)

    def __getitem__(self, index: int) -> DecodedClip:
        coded = self.coded.clips[index]
        return decode_coded(self._decoder, coded, coded.packets)

    def __iter__(self) -> Iterator[DecodedClip]:
        return (self[index] for index in range(len(self)))


def open(
    path: str | Path,
    *,
    refine: str = "balanced",
    device: str = "auto",
    weights: str | Path | None = None,
    refiner: str | Path | None = None,
) -> Video:
    """Open a `.gist` file; the rest as of `decode`.

    Raises:
        UsageError: no such file, or as of `decode`.
        CorruptError: not a readable `.gist` file.
        ModelError: coded with tables or a model that are not at hand.
    """
    if not Path(path).is_file():
        raise UsageError(f"no such file: {path}")
    with builtins.open(path, "rb") as file:
        data = file.read()
    parse_header(data)
    return Video(data, refine=refine, device=device, weights=weights, refiner=refiner)
