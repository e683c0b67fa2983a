"""PSNR and LPIPS of many timelines of one source, every picture looked at once.

picture --AlexNet--> features, kept --compare--> distance, kept by (source's picture, shown one)

AlexNet is nearly all of what a passage's score costs. A picture of the source has the same
features in every passage, a frozen one at all the instants that it stands, and a video that is
joined to itself shows its frames again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gistcast.eval.metrics.perceptual import lpips
from gistcast.eval.metrics.psnr import frame_mse, psnr_of_mse
from gistcast.eval.timeline import Shown
from gistcast.models.lpips import Lpips

Pictures = NDArray[np.uint8]  #: RGB, (T, H, W, 3)
_Pair = tuple[bytes, bytes]  # digests of the source's picture and of the one on show

_GREY = 128
_BATCH = 16  # frames
_KEPT_BYTES = 1 << 30  # of features


class _Features:
    """LPIPS features of pictures by their digest, the newest of them kept.

    Args:
        network: makes them.
        most: bytes that are kept; the oldest go first.
    """

    def __init__(self, network: Lpips, most: int) -> None:
        self._network, self._most = network, most
        self._kept: dict[bytes, list[Tensor]] = {}
        self._size = 0

    def of(self, digests: Sequence[bytes], pictures: Sequence[Pictures]) -> list[Tensor]:
        """Stages of features, each (N, C, h, w), of N pictures, each (H, W, 3)."""
        new = {d: p for d, p in zip(digests, pictures, strict=True) if d not in self._kept}
        if new:
            stages = self._network.features(_tensor(np.stack(list(new.values()))))
            for at, digest in enumerate(new):
                self._kept[digest] = [stage[at].clone() for stage in stages]
                self._size += _bytes(self._kept[digest])
        chosen = [self._kept[digest] for digest in digests]
        while self._size > self._most:
            self._size -= _bytes(self._kept.pop(next(iter(self._kept))))
        return [torch.stack(stage) for stage in zip(*chosen, strict=True)]


class TimelineScores:
    """PSNR and LPIPS (Alex) of timelines of one source, as `eval.timeline.quality` has them.

    Args:
        reference: the source.
        kept_bytes: of features that may be kept, the source's and the passage's each half.
    """

    def __init__(self, reference: Pictures, *, kept_bytes: int = _KEPT_BYTES) -> None:
        self._reference = reference
        self._digests = [_digest(picture) for picture in reference]
        self._grey = np.full(reference.shape[1:], _GREY, np.uint8)
        self._known: dict[_Pair, tuple[float, float]] = {}
        self._network = lpips("alex")
        self._truth = _Features(self._network, kept_bytes // 2)
        self._seen = _Features(self._network, kept_bytes // 2)

    def of(self, shown: Shown, delivered: Pictures) -> dict[str, float]:
        """PSNR of the mean error over all instants, in dB, and mean LPIPS.

        Args:
            shown: what is on show.
            delivered: pictures of the deliveries, in their order.
        """
        seen = [delivered[k] if k >= 0 else self._grey for k in shown.frames.tolist()]
        pairs = [(d, _digest(p)) for d, p in zip(self._digests, seen, strict=True)]
        fresh = {pair: at for at, pair in enumerate(pairs) if pair not in self._known}
        instants = list(fresh.values())
        for first in range(0, len(instants), _BATCH):
            chosen = instants[first : first + _BATCH]
            scores = self._look([pairs[at] for at in chosen], chosen, [seen[at] for at in chosen])
            self._known.update(scores)
        errors, distances = zip(*(self._known[pair] for pair in pairs), strict=True)
        return {
            "psnr_rgb": psnr_of_mse(float(np.mean(errors))),
            "lpips_alex": float(np.mean(distances)),
        }

    def _look(
        self, pairs: Sequence[_Pair], instants: Sequence[int], seen: Sequence[Pictures]
    ) -> dict[_Pair, tuple[float, float]]:
        """Squared error and LPIPS of pairs."""
        truth = [self._reference[at] for at in instants]
        with torch.inference_mode():
            expected = self._truth.of([pair[0] for pair in pairs], truth)
            found = self._seen.of([pair[1] for pair in pairs], seen)
            distances = self._network.compare(found, expected).tolist()
        errors = frame_mse(np.stack(seen), np.stack(truth)).tolist()
        return dict(zip(pairs, zip(errors, distances, strict=True), strict=True))


def _digest(picture: Pictures) -> bytes:
    return hashlib.sha256(picture.tobytes()).digest()


def _bytes(features: list[Tensor]) -> int:
    return sum(stage.nbytes for stage in features)


def _tensor(pictures: Pictures) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
