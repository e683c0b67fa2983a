"""What many passages of one video have in common, done once: decoding clips, comparing pictures.

A clip that arrives whole in ten passages is drawn once, and the picture of it that is on show at
an instant is compared with the source once. What decoding cost is charged each time.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from gistcast.codec.packet import Packet
from gistcast.eval.metrics.perceptual import lpips
from gistcast.eval.metrics.psnr import frame_mse, psnr_of_mse
from gistcast.eval.timeline import Shown
from gistcast.stream.sinks import ClipDecoder, DecodedClip, StreamFields

Pictures = NDArray[np.uint8]  #: RGB, (T, H, W, 3)

_GREY = 128
_BATCH = 16  # frames


class RememberingDecoder:
    """Draws a clip once, and the next time takes as long as it took then: processor time, so that
    other work on the machine does not count.

    Args:
        make: opens a stream's header.
    """

    header: StreamFields

    def __init__(self, make: Callable[[bytes], ClipDecoder]) -> None:
        self._make = make
        self._drawn: dict[bytes, tuple[DecodedClip, float]] = {}
        self._saved = 0.0

    def open(self, header: bytes) -> RememberingDecoder:
        """The decoder of a stream; one at a time."""
        self._decoder = self._make(header)
        self._stream, self.header = header, self._decoder.header
        return self

    def clock(self) -> float:
        """Seconds of the processor's time, with what was saved of it."""
        return time.process_time() + self._saved

    def decode_clip(self, packets: Sequence[Packet]) -> DecodedClip:
        """As `ClipDecoder.decode_clip`."""
        key = self._stream + b"".join(packet.to_bytes(self._stream) for packet in packets)
        if key in self._drawn:
            drawn, took = self._drawn[key]
            self._saved += took
            return drawn
        begun = time.process_time()
        drawn = self._decoder.decode_clip(packets)
        self._drawn[key] = drawn, time.process_time() - begun
        return drawn


class TimelineScores:
    """PSNR and LPIPS (Alex) of timelines of one source, as `eval.timeline.quality` has them.

    Args:
        reference: the source.
    """

    def __init__(self, reference: Pictures) -> None:
        self._reference = reference
        self._grey = np.full(reference.shape[1:], _GREY, np.uint8)
        self._known: dict[tuple[int, bytes], tuple[float, float]] = {}

    def of(self, shown: Shown, delivered: Pictures) -> dict[str, float]:
        """PSNR of the mean error over all instants, in dB, and mean LPIPS.

        Args:
            shown: what is on show.
            delivered: pictures of the deliveries, in their order.
        """
        seen = [delivered[k] if k >= 0 else self._grey for k in shown.frames.tolist()]
        keys = [(at, hashlib.sha256(picture.tobytes()).digest()) for at, picture in enumerate(seen)]
        fresh = [at for at, key in enumerate(keys) if key not in self._known]
        for first in range(0, len(fresh), _BATCH):
            chosen = fresh[first : first + _BATCH]
            for at, score in zip(chosen, self._look(chosen, seen), strict=True):
                self._known[keys[at]] = score
        errors, distances = zip(*(self._known[key] for key in keys), strict=True)
        return {
            "psnr_rgb": psnr_of_mse(float(np.mean(errors))),
            "lpips_alex": float(np.mean(distances)),
        }

    def _look(self, instants: list[int], seen: list[Pictures]) -> list[tuple[float, float]]:
        """Squared error and LPIPS at some instants."""
        pictures = np.stack([seen[at] for at in instants])
        truth = self._reference[instants]
        with torch.inference_mode():
            distances = lpips("alex")(_tensor(pictures), _tensor(truth)).tolist()
        return list(zip(frame_mse(pictures, truth).tolist(), distances, strict=True))


def _tensor(pictures: Pictures) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
