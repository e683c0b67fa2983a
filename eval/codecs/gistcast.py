"""gistcast itself, measured as a user gets it: the bytes of a complete one-clip file.

clip --encode_video--> file --decode_video--> gist, sketch, refined clip
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import gistcast.codec
import gistcast.models
from gistcast.codec.clip import CLIP_FRAMES, Clip
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.errors import GistcastError, ModelError
from gistcast.codec.file import decode_video, encode_video, read_gist
from gistcast.codec.media import VideoInfo
from gistcast.codec.packet import LATENT, TEXT
from gistcast.codec.protocol import GistModel, Refiner
from gistcast.eval.codecs.base import Coded, spread

CLIP_BYTES = (120, 200, 300, 450, 640, 1050, 1500, 2000, 3000)  #: points at 64 x 64


@dataclass(frozen=True)
class GistcastCodec:
    """gistcast with one choice of layers; every point is a limit on the file's bytes.

    Attributes:
        arm: prefix of the arms in `results.json`.
        layers: the last layer that is sent: text, latent or residual.
        latent: whether a latent goes before the residual: off, on or auto.
        model, refiner: the networks, where they are wanted.
        points: bytes of a whole file; a single 0 where there is nothing to choose.
        preset: encoder effort.
    """

    arm: str = ""
    layers: str = "residual"
    latent: str = "off"
    model: GistModel | None = None
    refiner: Refiner | None = None
    points: tuple[float, ...] = CLIP_BYTES
    preset: str = "medium"
    name: str = "gistcast"
    counted: str = "size of a complete one-clip .gist file"
    uses_text: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "uses_text", self.layers == "text")

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the codec's and the networks' sources, tables and weights."""
        digest = hashlib.sha256()
        for path in _sources(self.model is not None or self.refiner is not None):
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()[:12]

    def settings(self, point: float) -> str:
        """The options of `gistcast encode`, and a fingerprint of the code and the weights."""
        rate = f"--clip-bytes {point:g} " if point else ""
        refined = "refined and not" if self.refiner else "not refined"
        return (
            f"{rate}--layers {self.layers} --latent {self.latent} --preset {self.preset} "
            f"(arm {self.arm}, {refined}, code {self.fingerprint})"
        )

    def code(self, clip: Clip, fps: Fraction, point: float, text: str | None = None) -> Coded:
        """Encode to a file and decode it.

        Raises:
            GistcastError: text is to be sent and there is none, or the limit cannot be met.
        """
        if self.uses_text and not text:
            raise GistcastError("the clip has no description to send")
        info = VideoInfo(clip.width, clip.height, fps)
        begin = time.perf_counter()
        data = self._encode(clip, info, int(point), text)
        middle = time.perf_counter()
        # decoded without a refiner first: its seconds are those of the sketch
        sketch = next(iter(decode_video(data, self.model)))
        end = time.perf_counter()
        variants = {self._name("sketch"): sketch.sketch}
        views = {"gist": sketch.gist, "sketch": sketch.sketch}
        if self.refiner is not None:
            refined = next(iter(decode_video(data, self.model, self.refiner))).clip
            variants[self._name("refined")] = views["regenerated"] = refined
        return Coded(
            (data,), sketch.sketch, middle - begin, end - middle, variants, views, _layers(data)
        )

    def _name(self, variant: str) -> str:
        if self.layers != "residual":
            return self.layers if variant == "sketch" else f"{self.layers}-{variant}"
        return f"{self.arm}-{variant}" if self.arm else variant

    def _encode(self, clip: Clip, info: VideoInfo, limit: int, text: str | None) -> bytes:
        """A file of at most `limit` bytes: the stream header counts, too."""
        settings = EncodeSettings(
            clip_frames=next(n for n in CLIP_FRAMES if n >= clip.frames),
            preset=self.preset,
            layers=self.layers,
            latent=self.latent,
            text=text if self.uses_text else None,
        )
        if limit:
            header = len(Encoder(info, settings, self.model).header)
            settings = replace(settings, clip_bytes=limit - header)
        return encode_video([clip], info, settings, self.model)


def gistcast_codecs(
    device: str, scale: float = 1.0, count: int | None = None
) -> tuple[list[GistcastCodec], list[str]]:
    """Every way in which gistcast is measured, and what was left out and why.

    Args:
        device: auto, cpu or cuda, for the networks.
        scale: points are multiplied by this (larger frames take more bytes).
        count: points a curve; None takes all.
    """
    points = [float(round(b * scale)) for b in spread(CLIP_BYTES, count)]
    left_out: list[str] = []
    refiner = _load("refiner", device, left_out)
    found = [GistcastCodec(refiner=refiner, points=tuple(points))]
    model = _load("gist", device, left_out)
    if model is not None:
        found += [
            GistcastCodec("gist", latent="on", model=model, points=tuple(points)),
            GistcastCodec(layers="latent", latent="on", model=model, refiner=refiner, points=(0,)),
            GistcastCodec(layers="text", model=model, refiner=refiner, points=(0,)),
        ]
    return found, left_out


def _load(what: str, device: str, left_out: list[str]) -> Any:
    from gistcast.models import training, zoo

    try:
        where = training.pick_device(device)
        return zoo.load_gist(where) if what == "gist" else zoo.load_refiner(where)
    except ModelError as error:
        left_out.append(f"gistcast without its {what} network: {error}")
        return None


def _layers(data: bytes) -> dict[str, int]:
    """Bytes of each kind of layer, and of everything around them."""
    found = {"text": 0, "latent": 0, "residual": 0}
    for packet in read_gist(data).clips[0].packets:
        kind = {TEXT: "text", LATENT: "latent"}.get(packet.layer, "residual")
        found[kind] += len(packet.payload)
    return {**found, "headers": len(data) - sum(found.values())}


def _sources(networks: bool) -> Iterator[Path]:
    """Files that a result depends on, in a fixed order."""
    folder = Path(gistcast.codec.__file__).parent
    yield from sorted(folder.glob("*.py"))
    yield from sorted((folder / "tables").glob("*"))
    if networks:
        folder = Path(gistcast.models.__file__).parent
        yield from (p for p in sorted(folder.glob("*.py")) if not p.name.startswith("train"))
        yield from sorted((folder / "weights").glob("*.safetensors"))
