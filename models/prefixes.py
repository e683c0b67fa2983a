"""Clips at every prefix of their layers: what tables of a judge's accuracy are made from.

clip --encoder--> packets --first 1, 2, .. n, decoder--> n clips, n sizes
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from gistcast.codec.clip import Clip
from gistcast.codec.decoder import DecodedClip, Decoder
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.media import VideoInfo
from gistcast.codec.protocol import GistModel, Refiner

Made = Sequence[tuple[Clip, int]]  #: clips of one subject, a row of the table each, and their bytes


def decoded_prefixes(
    clip: Clip,
    settings: EncodeSettings,
    model: GistModel | None = None,
    refiner: Refiner | None = None,
    *,
    fps: int = 25,
) -> list[tuple[DecodedClip, int]]:
    """A clip after each of its layers, and the bytes of the layers without packet headers."""
    info = VideoInfo(clip.width, clip.height, Fraction(fps))
    encoder = Encoder(info, settings, model)
    packets = encoder.encode_clip(clip)
    decoder = Decoder(encoder.header, model, refiner)
    sizes = np.cumsum([len(packet.payload) for packet in packets]).tolist()
    ends = range(1, len(packets) + 1)
    return [(decoder.decode_clip(packets[:end]), sizes[end - 1]) for end in ends]


def rows(names: Sequence[str], made: Sequence[Made]) -> Iterator[tuple[str, list[Clip], float]]:
    """Name, clips and mean bytes of each row; a subject of fewer clips shows its last one."""
    for index, name in enumerate(names):
        chosen = [clips[min(index, len(clips) - 1)] for clips in made]
        yield name, [clip for clip, _ in chosen], float(np.mean([size for _, size in chosen]))
