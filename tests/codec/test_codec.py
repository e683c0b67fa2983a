"""The codec as a whole on a real clip: rate control, layers, sizes, exactness."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.context import FEATURES, LOG
from gistcast.codec.decoder import Decoder
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.errors import UsageError
from gistcast.codec.file import decode_video, encode_video
from gistcast.codec.layout import make_layout
from gistcast.codec.media import VideoInfo
from gistcast.codec.packet import RESIDUAL
from gistcast.codec.ratecontrol import quality_to_quantiser
from gistcast.codec.residual import ResidualDecoder, ResidualEncoder
from gistcast.codec.sketch import transform_clip
from gistcast.codec.tables import load_tables

Make = Callable[..., Clip]


def psnr(a: Clip, b: Clip) -> float:
    error = np.square(clip_to_rgb(a).astype(float) - clip_to_rgb(b)).mean()
    return float(10 * np.log10(255**2 / error))


def _coded(clip: Clip, **settings: object) -> tuple[int, Clip]:
    info = VideoInfo(clip.width, clip.height, Fraction(25))
    data = encode_video([clip], info, EncodeSettings(**settings))  # type: ignore[arg-type]
    (decoded,) = decode_video(data)
    assert decoded.damage == ()
    return len(data), decoded.clip


def test_quality_is_monotonic(street: Clip) -> None:
    points = [_coded(street, quality=q) for q in (0, 15, 30, 45, 60, 80, 100)]
    sizes = [size for size, _ in points]
    quality = [psnr(clip, street) for _, clip in points]
    assert sizes == sorted(sizes) and len(set(sizes)) == len(sizes)
    assert quality == sorted(quality)
    assert quality[-1] > 38
    assert quality_to_quantiser(0) <= 255 and quality_to_quantiser(100) >= 0


def test_the_headline(street: Clip) -> None:
    """450 bytes for 32 frames give a recognisable sketch, far from grey."""
    size, sketch = _coded(street, clip_bytes=450)
    assert size <= 450 + 12
    assert psnr(sketch, street) > 22


@pytest.mark.parametrize("budget", [150, 200, 450, 1050, 2000, 5000])
def test_clip_bytes_hold(street: Clip, budget: int) -> None:
    info = VideoInfo(64, 64, Fraction(25))
    encoder = Encoder(info, EncodeSettings(clip_bytes=budget))
    used = sum(len(p.to_bytes(encoder.header)) for p in encoder.encode_clip(street))
    assert 0.95 * budget <= used <= budget


def test_presets_differ_as_they_say(street: Clip) -> None:
    """Within a budget slow beats fast; medium is as good as fast but for the bytes left over."""
    quality = {}
    for preset in ("fast", "medium", "slow"):
        size, sketch = _coded(street, clip_bytes=500, preset=preset)
        assert size <= 512
        quality[preset] = psnr(sketch, street)
    assert quality["fast"] < quality["slow"]
    assert quality["fast"] - 0.12 < quality["medium"] < quality["slow"] + 0.02


def test_bitrate_is_a_leaky_bucket(moving_clip: Make) -> None:
    info = VideoInfo(64, 64, Fraction(25))
    encoder = Encoder(info, EncodeSettings(bitrate=6000))
    total = 0
    for seed in range(4):
        packets = encoder.encode_clip(moving_clip(32, 64, 64, seed))
        total += sum(len(p.to_bytes(encoder.header)) for p in packets)
        assert total <= (seed + 1) * 960
    assert total >= 0.95 * 4 * 960


def test_impossible_budget_is_refused(street: Clip) -> None:
    settings = EncodeSettings(
        clip_bytes=60, text="zyx wvu tsr " * 9 + "qponmlkjihgfedcba0123456789" * 3
    )
    encoder = Encoder(VideoInfo(64, 64, Fraction(25)), settings)
    with pytest.raises(UsageError, match="too few"):
        encoder.encode_clip(street)


def test_every_prefix_of_layers_is_better_than_the_last(street: Clip) -> None:
    encoder = Encoder(
        VideoInfo(64, 64, Fraction(25)), EncodeSettings(quality=45, residual_layers=4)
    )
    packets = encoder.encode_clip(street)
    assert [p.layer for p in packets] == [RESIDUAL + k for k in range(4)]
    decoder = Decoder(encoder.header)
    prefixes = [decoder.decode_clip(packets[:k]) for k in range(1, 5)]
    quality = [psnr(d.clip, street) for d in prefixes]
    assert quality == sorted(quality)
    assert quality[0] > 15
    gap = decoder.decode_clip([packets[0], packets[2]])
    assert np.array_equal(gap.clip.y, prefixes[0].clip.y)
    assert gap.residual_layers == 1


def test_layers_do_not_change_the_symbols(street: Clip) -> None:
    one, four = (
        next(decode_video(encode_video([street], VideoInfo(64, 64, Fraction(25)), s)))
        for s in (
            EncodeSettings(quality=40, residual_layers=1),
            EncodeSettings(quality=40, residual_layers=4),
        )
    )
    for a, b in zip(one.symbols, four.symbols, strict=True):
        assert all(np.array_equal(a[k], b[k]) for k in a)


SIZES = [(1, 64, 64), (5, 33, 47), (32, 16, 16), (8, 1, 1), (3, 2, 90), (16, 90, 50), (2, 180, 320)]


@pytest.mark.parametrize("shape", SIZES)
def test_any_size(shape: tuple[int, int, int], moving_clip: Make) -> None:
    clip = moving_clip(*shape)
    _, decoded = _coded(clip, quality=80)
    assert decoded.y.shape == shape
    assert psnr(decoded, clip) > 30


def test_black_and_flash() -> None:
    black = Clip(np.full((8, 32, 32), 16, np.uint8), *[np.full((8, 16, 16), 128, np.uint8)] * 2)
    size, decoded = _coded(black, quality=50)
    assert size < 40 and np.abs(decoded.y.astype(int) - 16).max() <= 4
    luma = black.y.copy()
    luma[4] = 235
    flash = Clip(luma, black.u, black.v)
    _, decoded = _coded(flash, quality=90)
    assert decoded.y[4].mean() > 200 and decoded.y[3].mean() < 50


def test_encoder_and_decoder_agree_on_reconstruction(street: Clip) -> None:
    tables, layout = load_tables(), make_layout(32, 64, 64)
    coefficients = transform_clip(street, None, layout)
    chosen = ResidualEncoder(tables, 0.13).choose(layout, coefficients, 100)
    decoder = ResidualDecoder(32, 64, 64, tables, 100)
    decoder.layer(chosen.layer(0, len(layout.groups)), 0)
    for plane in range(3):
        for key, points in chosen.points[plane].items():
            assert np.array_equal(decoder.points[plane][key], points)


def test_rate_distortion_choice_pays(street: Clip) -> None:
    """At equal bytes, choosing by D + lambda R beats plain rounding."""
    layout, tables = make_layout(32, 64, 64), load_tables()

    def curve(weight: float) -> tuple[list[float], list[float]]:
        bits, error = [], []
        for quantiser in (84, 96, 108, 120, 132, 144):
            coefficients = transform_clip(street, None, layout)
            chosen = ResidualEncoder(tables, weight).choose(layout, coefficients, quantiser)
            bits.append(np.log(sum(chosen.group_bits())))
            error.append(np.log(chosen.cost(0, 0)))
        return bits[::-1], error[::-1]

    chosen, plain = curve(0.13), curve(1e-4)
    at = np.log(8 * 600)
    assert np.interp(at, *chosen) < np.interp(at, *plain) - 0.02


def test_features_are_small_integers() -> None:
    assert FEATURES == 23 and LOG.dtype == np.uint8 and LOG.max() == 64
    assert list(LOG[:4]) == [0, 8, 13, 16]


def test_settings_are_checked() -> None:
    for bad in (
        {"quality": 101}, {"quality": 3, "bitrate": 5}, {"clip_frames": 12}, {"preset": "best"},
        {"clip_bytes": 3}, {"layers": "text"}, {"residual_layers": 15}, {"latent": "maybe"},
    ):  # fmt: skip
        with pytest.raises(UsageError):
            EncodeSettings(**bad)  # type: ignore[arg-type]
