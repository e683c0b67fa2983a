"""How a residual is cut into layers: a small base first, then what fits one message each."""

from __future__ import annotations

import numpy as np

from gistcast.codec.packet import RESIDUAL, put_varint
from gistcast.codec.residual import Chosen

Layers = list[tuple[int, bytes]]  #: (layer number, payload), in order

#: Where residual layers end by default, in bytes.
_ENDS = (450, 1150, *range(2150, 9150, 1000))
_LEAST = 250  # bytes: a smaller rest joins the layer before it


def _shares(size: float, count: int | None) -> list[float]:
    """Where layers end, as shares of the residual's bytes, the last end left out."""
    if count is not None:  # each layer twice the one before
        return [(2.0**k - 1) / (2.0**count - 1) for k in range(1, count)]
    ends = [float(end) for end in _ENDS if size - end > _LEAST]
    scale = max(1.0, size / (_ENDS[-1] + 1000))
    return [min(1.0, scale * end / size) for end in ends]


def cut_layers(chosen: Chosen, count: int | None) -> Layers:
    """Code the groups of a residual as layers.

    Args:
        count: number of layers; None lets the size decide.
    """
    bits = np.cumsum(chosen.group_bits())
    shares = _shares(bits[-1] / 8, count)
    cuts = sorted({int(np.searchsorted(bits, share * bits[-1])) for share in shares} - {0})
    ends = [c for c in cuts if c < len(bits)] + [len(bits)]
    layers, start = [], 0
    for index, stop in enumerate(ends):
        groups = 0 if stop == len(bits) else stop - start
        head = bytes([chosen.quantiser]) if index == 0 else b""
        payload = head + put_varint(groups) + chosen.layer(start, stop)
        layers.append((RESIDUAL + index, payload))
        start = stop
    return layers
