"""Neural codecs of CompressAI's zoo: `compressai:mbt2018-mean`, `compressai:ssf2020`, ...

    clip -> RGB, padded -> network.compress -> strings -> packets (what is counted)
    packets -> strings -> network.decompress -> RGB, cropped -> clip

Image networks code every frame by itself. A packet is a frame; the first begins with what a
receiver must know, the network's quality and the clip's sides:

    [quality:varint width:varint height:varint]  (length:varint string) but for the last  string

The strings are the real rANS streams. Their decoder reads on behind its input, so that a short or
foreign payload can end the process: it is given zeros behind every string, and nothing but
packets whose lengths add up. Its symbols depend on the last bits of float arithmetic; encoder and
decoder therefore run on one thread of the same kind of machine, which `settings` names.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gistcast.codec.clip import MAX_SIDE, Clip
from gistcast.codec.colour import float_rgb_to_clip, planes_to_rgb
from gistcast.codec.errors import CorruptError, GistcastError, UsageError
from gistcast.codec.packet import get_varint, put_varint
from gistcast.eval.codecs.base import DELAY_MATCHED, Coded, Geometry
from gistcast.eval.codecs.compressai_zoo import (
    IMAGE_NETWORKS,
    VIDEO_NETWORKS,
    find_weights,
    fingerprint,
    load_network,
    package,
    quiet,
)

PREFIX = "compressai:"
_MS_SSIM = "-ms-ssim"
_VIDEO_STRIDE = 128  # sixteen-fold latents, and eight-fold hyper-latents of those
_SPARE = 64  # zeros behind a string: at least so many, and so many for each of its bytes


@dataclass(frozen=True)
class CompressaiCodec:
    """A network of the zoo at the operating points whose weights are at hand.

    Attributes:
        network: its name in the zoo.
        loss: what it was trained for: mse or ms-ssim.
        weights: weights file of each quality, coarsest first.
    """

    network: str
    loss: str
    weights: tuple[tuple[int, Path], ...]
    mode: str = DELAY_MATCHED
    uses_text: bool = False
    counted: str = (
        "rANS strings, the lengths of all but a frame's last as varints, quality, width and height "
        "once; the network's weights are not counted"
    )

    @property
    def name(self) -> str:
        """`compressai:` and the network's name, with `-ms-ssim` where trained for that."""
        return PREFIX + self.network + (_MS_SSIM if self.loss == "ms-ssim" else "")

    @property
    def points(self) -> tuple[float, ...]:
        """Qualities in the zoo's count, 1 is the coarsest."""
        return tuple(float(quality) for quality, _ in self.weights)

    def settings(self, point: float) -> str:
        """The network, its weights, and what its floats depend on."""
        path = self._path(point)
        return (
            f"compressai {version('compressai')} {self.network} quality {point:g} "
            f"({path.name}, SHA-256 {fingerprint(path)}), every frame a packet, torch "
            f"{torch.__version__} on one thread of {platform.machine()} "
            f"{torch.backends.cpu.get_cpu_capability()}"
        )

    def encode(self, clip: Clip, fps: Fraction, point: float, text: str | None = None) -> Coded:
        """Code a clip. The network is loaded before the clock starts.

        Raises:
            GistcastError: its weights cannot be used, or not for this clip.
        """
        network = load_network(self.network, self._path(point))
        begin = time.perf_counter()
        with self._coding():
            frames = _to_tensor(clip, _stride(network))
            strings = self._compress(network, frames)
        packets = [_join(frame) for frame in strings]
        packets[0] = b"".join(map(put_varint, (int(point), clip.width, clip.height))) + packets[0]
        return Coded(tuple(packets), tuple(range(len(packets))), time.perf_counter() - begin)

    def decode(self, coded: Coded, like: Geometry) -> Mapping[str, Clip]:
        """The one clip there is.

        Raises:
            GistcastError: the packets are not those of such a clip at one of the points.
        """
        if not coded.packets:
            raise CorruptError(f"{self.name}: no packets", field="packets")
        (quality, width, height), first = _header(coded.packets[0])
        if (len(coded.packets), height, width) != tuple(like):
            raise CorruptError(
                f"{self.name}: {len(coded.packets)} frames of {width}x{height} instead of "
                f"{like.frames} of {like.width}x{like.height}",
                field="header",
            )
        network = load_network(self.network, self._path(quality))
        counts = self._string_counts(network, like.frames)
        bodies = (first, *coded.packets[1:])
        strings = [_split(body, n) for body, n in zip(bodies, counts, strict=True)]
        stride = _stride(network)
        shape = torch.Size((-(-height // stride), -(-width // stride)))
        with self._coding():
            return {"": _to_clip(self._decompress(network, strings, shape), like)}

    def _compress(self, network: Any, frames: Sequence[Tensor]) -> list[list[bytes]]:
        """The strings of every frame."""
        if self.network not in VIDEO_NETWORKS:
            outs = [network.compress(frame)["strings"] for frame in frames]
        else:
            key, *inter = network.compress(list(frames))[0]
            outs = [key, *([*frame["motion"], *frame["residual"]] for frame in inter)]
        return [[string for (string,) in out] for out in outs]

    def _decompress(
        self, network: Any, strings: Sequence[list[list[bytes]]], shape: torch.Size
    ) -> list[Tensor]:
        """Frames (1, 3, H, W) on 0..1 from the strings of every frame."""
        if self.network not in VIDEO_NETWORKS:
            return [network.decompress(frame, shape)["x_hat"] for frame in strings]
        key, *inter = strings
        parted = [{"motion": frame[:2], "residual": frame[2:]} for frame in inter]
        shapes = [{"motion": shape, "residual": shape} for _ in inter]
        return list(network.decompress([key, *parted], [shape, *shapes]))

    def _string_counts(self, network: Any, frames: int) -> list[int]:
        """Strings in the packet of each frame."""
        if self.network in VIDEO_NETWORKS:
            return [2] + [4] * (frames - 1)
        return [2 if hasattr(network, "gaussian_conditional") else 1] * frames

    @contextmanager
    def _coding(self) -> Iterator[None]:
        """One thread, no gradients, errors of torch as ours."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.inference_mode(), quiet():
                yield
        except (RuntimeError, ValueError, IndexError) as error:
            raise GistcastError(f"{self.name} failed: {error}") from error
        finally:
            torch.set_num_threads(threads)

    def _path(self, point: float) -> Path:
        for quality, path in self.weights:
            if quality == point:
                return path
        raise UsageError(f"{self.name} has no weights of quality {point:g}")


def compressai_codec(spec: str) -> CompressaiCodec:
    """The codec of `compressai:NETWORK[-ms-ssim]@WEIGHTS`.

    Args:
        spec: NETWORK is a name in the zoo, WEIGHTS a folder of weights files or one of them.

    Raises:
        UsageError: no such network, or no weights; the message says which to get and where.
        GistcastError: CompressAI is not installed.
    """
    name, _, weights = spec.removeprefix(PREFIX).partition("@")
    network = name.removesuffix(_MS_SSIM)
    if network not in IMAGE_NETWORKS + VIDEO_NETWORKS:
        names = ", ".join(IMAGE_NETWORKS + VIDEO_NETWORKS)
        raise UsageError(f"no network {network!r} in CompressAI's zoo; there are {names}")
    loss = "ms-ssim" if name.endswith(_MS_SSIM) else "mse"
    package()
    found = find_weights(network, loss, Path(weights) if weights else None)
    return CompressaiCodec(network, loss, tuple(found.items()))


def _stride(network: Any) -> int:
    """What the sides of a frame are padded to multiples of."""
    return int(getattr(network, "downsampling_factor", _VIDEO_STRIDE))


def _to_tensor(clip: Clip, stride: int) -> list[Tensor]:
    """Frames (1, 3, H, W) of RGB on 0..1, their last row and column repeated up to the stride."""
    rgb = planes_to_rgb(*(plane.astype(np.float32) for plane in clip.planes))
    pad = [(0, 0), (0, -clip.height % stride), (0, -clip.width % stride), (0, 0)]
    padded = np.pad(np.clip(rgb / 255, 0, 1), pad, mode="edge")
    return list(torch.from_numpy(padded).permute(0, 3, 1, 2).contiguous()[:, None])


def _to_clip(frames: Sequence[Tensor], like: Geometry) -> Clip:
    rgb = torch.cat(list(frames))[..., : like.height, : like.width].clamp(0, 1)
    return float_rgb_to_clip(rgb.permute(0, 2, 3, 1).numpy() * np.float32(255))


def _join(strings: Sequence[bytes]) -> bytes:
    *framed, last = strings
    return b"".join(put_varint(len(string)) + string for string in framed) + last


def _header(packet: bytes) -> tuple[tuple[int, int, int], bytes]:
    """Quality, width and height, and what follows them."""
    quality, at = get_varint(packet, 0, 255, "quality")
    width, at = get_varint(packet, at, MAX_SIDE, "width")
    height, at = get_varint(packet, at, MAX_SIDE, "height")
    return (quality, width, height), packet[at:]


def _split(packet: bytes, count: int) -> list[list[bytes]]:
    """The strings of a packet as the networks take them, each with zeros behind it."""
    strings, at = [], 0
    for _ in range(count - 1):
        length, at = get_varint(packet, at, len(packet), "length")
        if length > len(packet) - at:
            raise CorruptError("a string ends beyond its packet", field="length", offset=at)
        strings.append(packet[at : at + length])
        at += length
    strings.append(packet[at:])
    return [[string + bytes(_SPARE * (len(string) + 1))] for string in strings]
