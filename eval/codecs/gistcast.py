"""gistcast itself, measured as a user gets it: the bytes of a complete one-clip file.

clip --encode_video--> file --decode_video--> sketch, refined clip
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import gistcast.codec
import gistcast.models
from gistcast.codec.clip import CLIP_FRAMES, Clip
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.errors import GistcastError, ModelError
from gistcast.codec.file import decode_video, encode_video, read_gist
from gistcast.codec.media import VideoInfo
from gistcast.codec.packet import kind_of
from gistcast.codec.protocol import GistModel
from gistcast.eval.codecs.base import DELAY_MATCHED, Coded, Geometry
from gistcast.eval.summary import OURS, size_scale

PLAIN, QUALITY, WITHOUT = "plain", "quality", "without-"
PSNR, PERCEPTUAL = "psnr", "perceptual"  # what an encoder is tuned for
BALANCED, DIAL = "balanced", ("fidelity", "detail")  # what stage 2 is asked to favour
QUALITIES = tuple(map(float, range(0, 101, 5)))
CLIP_BYTES = (120, 200, 300, 450, 640, 1050, 1500, 2000, 3000)  #: points at 64 x 64


@dataclass(frozen=True)
class GistcastCodec:
    """gistcast with one choice of layers; every point is a limit on the file's bytes, or a quality.

    Attributes:
        arm: prefix of the arms in `results.json`.
        layers: the last layer that is sent: text, latent or residual.
        latent: whether a latent goes before the residual: off, on or auto.
        networks: which to load: "gist", "refiner", both or none.
        device: auto, cpu or cuda, for the networks.
        points: bytes of a whole file, or qualities; a single 0 where there is nothing to choose.
        preset: encoder effort.
        tune: what the encoder chooses for: psnr or perceptual.
        without: tools that the encoder leaves out.
        by_quality: whether the points are qualities.
        refine: what stage 2 is asked to favour, where it runs.
    """

    arm: str = ""
    layers: str = "residual"
    latent: str = "off"
    networks: frozenset[str] = frozenset()
    device: str = "auto"
    points: tuple[float, ...] = CLIP_BYTES
    preset: str = "medium"
    tune: str = PSNR
    without: frozenset[str] = frozenset()
    by_quality: bool = False
    refine: str = BALANCED
    name: str = OURS
    mode: str = DELAY_MATCHED
    counted: str = "size of a complete one-clip .gist file"

    @property
    def keeps_limits(self) -> bool:
        """Whether the points are limits on the bytes, that may be any."""
        return len(self.points) > 1 and not self.by_quality

    @property
    def uses_text(self) -> bool:
        """Whether the description is sent."""
        return self.layers == "text"

    def settings(self, point: float) -> str:
        """The options of `gistcast encode`, and a fingerprint of the code and the weights."""
        rate = f"--clip-bytes {point:g} " if point else ""
        if self.by_quality:
            rate = f"-q {point:g} "
        left_out = f"--without {','.join(sorted(self.without))} " if self.without else ""
        refined = f"{self.refine}, and not refined" if "refiner" in self.networks else "not refined"
        return (
            f"{rate}--layers {self.layers} --latent {self.latent} --preset {self.preset} "
            f"--tune {self.tune} {left_out}(arm {self.arm}, {refined}, "
            f"code {fingerprint(bool(self.networks))})"
        )

    def encode(self, clip: Clip, fps: Fraction, point: float, text: str | None = None) -> Coded:
        """Code to a file.

        Raises:
            GistcastError: text is to be sent and there is none, or the limit cannot be met.
        """
        if self.uses_text and not text:
            raise GistcastError(
                "the clip has no description to send: give --text, or --manifest with captions"
            )
        info = VideoInfo(clip.width, clip.height, fps)
        model = self._model()
        viewer = _network("viewer", self.device) if self.tune == PERCEPTUAL else None
        begin = time.perf_counter()
        settings = EncodeSettings(
            clip_frames=next(n for n in CLIP_FRAMES if n >= clip.frames),
            preset=self.preset,
            tune=self.tune,
            layers=self.layers,
            latent=self.latent,
            text=text if self.uses_text else None,
            without=self.without,
            quality=point if self.by_quality else None,
        )
        if point and not self.by_quality:
            header = len(Encoder(info, settings, model, viewer).header)
            settings = replace(settings, clip_bytes=int(point) - header)
        data = encode_video([clip], info, settings, model, viewer)
        return Coded((data,), (), time.perf_counter() - begin, _layers(data))

    def decode(self, coded: Coded, like: Geometry) -> Mapping[str, Clip]:
        """The sketch, and the refined clip where there is a refiner.

        Raises:
            GistcastError: it cannot be decoded.
        """
        (data,) = coded.packets
        refiner = _network("refiner", self.device) if "refiner" in self.networks else None
        decoded = next(iter(decode_video(data, self._model(), refiner, mode=self.refine)))
        shown = {self._name("sketch"): decoded.sketch}
        if refiner is not None:
            shown[self._name("refined")] = decoded.clip
        return shown

    def _model(self) -> GistModel | None:
        return _network("gist", self.device) if "gist" in self.networks else None

    def _name(self, variant: str) -> str:
        if self.layers != "residual":
            return self.layers if variant == "sketch" else f"{self.layers}-{variant}"
        return f"{self.arm}-{variant}" if self.arm else variant


def gistcast_codecs(
    device: str, size: tuple[int, int] = (64, 64), choice: str = ""
) -> tuple[list[GistcastCodec], list[str]]:
    """Every way in which gistcast is measured, and what was left out and why.

    Args:
        device: auto, cpu or cuda, for the networks.
        size: (width, height) of the clips: points grow with it.
        choice: a preset, for the sketch alone at this encoder effort; "without-motion+video" for
            the sketch without some of the encoder's tools; "quality" for the sketch over `-q`;
            "fidelity" or "detail" for what stage 2 makes of it when asked to favour that;
            "plain" for what is tuned for PSNR; "perceptual" for what is tuned for the eye, as
            `gistcast encode` makes small files by default; "" for both, and every choice of
            layers.

    Raises:
        UsageError: an unknown choice.
    """
    points = tuple(float(round(b * size_scale(*size))) for b in CLIP_BYTES)
    if choice == QUALITY:
        return [GistcastCodec(choice, points=QUALITIES, by_quality=True)], []
    if choice.startswith(WITHOUT):
        tools = frozenset(choice.removeprefix(WITHOUT).split("+"))
        EncodeSettings(without=tools)  # refuses unknown ones
        return [GistcastCodec(choice, points=points, without=tools)], []
    if choice not in ("", PLAIN, PERCEPTUAL, *DIAL):
        EncodeSettings(preset=choice)  # refuses an unknown one
        return [GistcastCodec(choice, points=points, preset=choice)], []
    left_out: list[str] = []
    if choice in DIAL:
        networks = frozenset({"refiner"})
        codec = GistcastCodec(
            choice, networks=networks, device=device, points=points, refine=choice
        )
        return [codec] if _usable("refiner", device, left_out) else [], left_out
    for_the_eye = GistcastCodec(
        PERCEPTUAL, networks=frozenset({"refiner"}), device=device, points=points, tune=PERCEPTUAL
    )
    if choice == PERCEPTUAL:
        return [for_the_eye] if _usable("refiner", device, left_out) else [], left_out
    have = frozenset(what for what in ("gist", "refiner") if _usable(what, device, left_out))
    found = [
        GistcastCodec(networks=have & {"refiner"}, device=device, points=points),
    ]
    if "refiner" in have and choice != PLAIN:
        found.append(for_the_eye)
    if "gist" in have and choice != PLAIN:
        nothing = (0.0,)
        found += [
            GistcastCodec("gist", "residual", "on", frozenset({"gist"}), device, points),
            GistcastCodec("", "latent", "on", have, device, nothing),
            GistcastCodec("", "text", "off", have, device, nothing),
        ]
    return found, left_out


def _usable(what: str, device: str, left_out: list[str]) -> bool:
    try:
        _network(what, device)
    except ModelError as error:
        left_out.append(f"gistcast without its {what} network: {error}")
        return False
    return True


@cache
def _network(what: str, device: str) -> Any:
    """A network, loaded once a process."""
    from gistcast.models import training, zoo

    where = training.pick_device(device)
    load: dict[str, Callable[[Any], Any]] = {
        "gist": zoo.load_gist,
        "refiner": zoo.load_refiner,
        "viewer": zoo.load_viewer,
    }
    return load[what](where)


@cache
def fingerprint(networks: bool) -> str:
    """Hash of the codec's and the networks' sources, tables and weights."""
    digest = hashlib.sha256()
    for path in _sources(networks):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _layers(data: bytes) -> dict[str, int]:
    """Bytes of each kind of layer, and of everything around them."""
    found = {"text": 0, "latent": 0, "residual": 0, "video": 0}
    parsed = read_gist(data)
    for packet in parsed.clips[0].packets:
        found[kind_of(packet.layer, parsed.header.version)[0]] += len(packet.payload)
    return {**found, "headers": len(data) - sum(found.values())}


def _sources(networks: bool) -> Iterator[Path]:
    """Files that a result depends on, in a fixed order."""
    folder = Path(gistcast.codec.__file__).parent
    yield from sorted(folder.rglob("*.py"))
    yield from sorted((folder / "tables").glob("*"))
    if networks:
        folder = Path(gistcast.models.__file__).parent
        yield from (p for p in sorted(folder.glob("*.py")) if not p.name.startswith("train"))
        yield from sorted((folder / "weights").glob("*.safetensors"))
