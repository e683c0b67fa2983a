"""`latent="auto"`: the encoder sends a latent where it pays, and nothing where it does not."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.codec.decoder import Decoder
from gistcast.codec.distortion import distortion
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.errors import UsageError
from gistcast.codec.media import VideoInfo
from gistcast.codec.packet import LATENT, Packet
from gistcast.codec.protocol import FloatPlanes

Make = Callable[..., Clip]
INFO = VideoInfo(64, 64, Fraction(25))


class Mixing:
    """A gist model that knows the clip: so much of it, the rest grey."""

    model_id = 255
    weights_hash = b"mix1"
    latent_frequencies = np.full((32, 257), 127, np.uint16)
    latent_frequencies[:, 0] += np.uint16(32768 - 127 * 257)

    def __init__(self, clip: Clip, share: float) -> None:
        self._clip, self._share = clip, share

    def describe(self, clip: Clip) -> NDArray[np.int32]:
        return np.arange(32, dtype=np.int32)

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
        y, u, v = (128 + self._share * (p.astype(np.float32) - 128) for p in self._clip.planes)
        return y, u, v


def _code(
    clip: Clip, model: Mixing, latent: str, budget: int, preset: str = "fast"
) -> tuple[list[Packet], float]:
    """Packets and the distortion of the sketch that is decoded from them."""
    settings = EncodeSettings(clip_bytes=budget, preset=preset, latent=latent)
    encoder = Encoder(INFO, settings, model)
    packets = encoder.encode_clip(clip)
    used = model if latent != "off" else None
    return packets, distortion(clip, Decoder(encoder.header, used).decode_clip(packets).sketch)


def _layers(packets: list[Packet]) -> list[tuple[int, bytes]]:
    return [(packet.layer, packet.payload) for packet in packets]


@pytest.mark.parametrize("preset", ["fast", "medium"])
def test_a_gist_that_says_nothing_is_not_sent(preset: str, moving_clip: Make) -> None:
    clips = [moving_clip(32, 64, 64, seed) for seed in range(2)]
    coded = []
    for latent in ("auto", "off"):
        settings = EncodeSettings(clip_bytes=300, preset=preset, latent=latent)
        encoder = Encoder(INFO, settings, Mixing(clips[0], -1.0))
        coded.append([_layers(encoder.encode_clip(clip)) for clip in clips])
    assert (
        coded[0] == coded[1]
    )  # the second clip too: what the first was tried with leaves no trace


def test_a_gist_that_says_much_is_sent(street: Clip) -> None:
    packets, error = _code(street, Mixing(street, 0.9), "auto", 200)
    assert packets[0].layer == LATENT
    assert error < 0.2 * _code(street, Mixing(street, 0.9), "off", 200)[1]


@pytest.mark.parametrize("budget", [120, 300])
def test_the_better_one_is_sent(budget: int, street: Clip) -> None:
    """Whatever the gist is worth: the sketch is as near as the nearer one's."""
    sent = set()
    for share in np.linspace(-0.2, 0.5, 8):
        model = Mixing(street, float(share))
        off, on = (_code(street, model, latent, budget)[1] for latent in ("off", "on"))
        packets, error = _code(street, model, "auto", budget)
        assert error <= 1.01 * min(off, on), (share, error, off, on)
        sent.add(packets[0].layer == LATENT)
    assert sent == {True, False}


def test_a_budget_too_small_for_the_latent_gets_none(street: Clip) -> None:
    model = Mixing(street, 0.9)
    with pytest.raises(UsageError, match="too few"):
        _code(street, model, "on", 40)
    assert all(packet.layer != LATENT for packet in _code(street, model, "auto", 40)[0])
    with pytest.raises(UsageError, match="too few"):
        _code(street, model, "auto", 16)
