"""`latent="auto"`: the encoder sends a latent where it pays, and nothing where it does not."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.decoder import Decoder
from gistcast.codec.distortion import distortion
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.errors import UsageError
from gistcast.codec.media import VideoInfo
from gistcast.codec.packet import LATENT, Packet
from gistcast.codec.protocol import GistModel

Make = Callable[..., Clip]
Knowing = Callable[..., GistModel]
INFO = VideoInfo(64, 64, Fraction(25))


def _code(
    clip: Clip, model: GistModel, latent: str, budget: int, preset: str = "fast"
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
def test_a_gist_that_says_nothing_is_not_sent(
    preset: str, moving_clip: Make, knowing: Knowing
) -> None:
    clips = [moving_clip(32, 64, 64, seed) for seed in range(2)]
    coded = []
    for latent in ("auto", "off"):
        settings = EncodeSettings(clip_bytes=300, preset=preset, latent=latent)
        encoder = Encoder(INFO, settings, knowing(clips[0], -1.0))
        coded.append([_layers(encoder.encode_clip(clip)) for clip in clips])
    # the second clip too: what the first was tried with leaves no trace
    assert coded[0] == coded[1]


def test_a_gist_that_says_much_is_sent(street: Clip, knowing: Knowing) -> None:
    packets, error = _code(street, knowing(street, 0.9), "auto", 200)
    assert packets[0].layer == LATENT
    assert error < 0.2 * _code(street, knowing(street, 0.9), "off", 200)[1]


@pytest.mark.parametrize("budget", [120, 300])
def test_the_better_one_is_sent(budget: int, street: Clip, knowing: Knowing) -> None:
    """Whatever the gist is worth: the sketch is as near as the nearer one's."""
    sent = set()
    for share in np.linspace(-0.2, 0.5, 8):
        model = knowing(street, float(share))
        off, on = (_code(street, model, latent, budget)[1] for latent in ("off", "on"))
        packets, error = _code(street, model, "auto", budget)
        assert error <= 1.01 * min(off, on), (share, error, off, on)
        sent.add(packets[0].layer == LATENT)
    assert sent == {True, False}


def test_a_budget_too_small_for_the_latent_gets_none(street: Clip, knowing: Knowing) -> None:
    model = knowing(street, 0.9)
    with pytest.raises(UsageError, match="too few"):
        _code(street, model, "on", 40)
    assert all(packet.layer != LATENT for packet in _code(street, model, "auto", 40)[0])
    with pytest.raises(UsageError, match="too few"):
        _code(street, model, "auto", 16)
