"""Range coder, text and latent layers: round trips, size, and damaged input."""

from __future__ import annotations

import contextlib
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gistcast.codec.errors import CorruptError, GistcastError, ModelError, UsageError
from gistcast.codec.latent import decode_latent, encode_latent
from gistcast.codec.rangecoder import FlagDecoder, FlagEncoder
from gistcast.codec.text import MAX_TEXT, decode_text, encode_text


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 400), st.sampled_from(["any", "extreme", "half"]))
def test_flags_round_trip(seed: int, count: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    p = {
        "any": rng.integers(1, 65536, count),
        "extreme": rng.choice([1, 2, 65534, 65535], count),
        "half": np.full(count, 32768),
    }[kind]
    flags = (rng.random(count) < p / 65536).astype(np.int32)
    if kind == "extreme" and count:
        flags[rng.integers(count)] ^= 1  # the improbable happens
    encoder = FlagEncoder()
    encoder.put(flags, p)
    data = encoder.finish()
    assert len(data) <= encoder.bits() / 8 + 2
    source = FlagDecoder(data)
    cut = count // 3
    assert np.array_equal(np.concatenate([source.get(p[:cut]), source.get(p[cut:])]), flags)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 2**32 - 1))
def test_damaged_flags_decode_or_raise(data: bytes, seed: int) -> None:
    p = np.random.default_rng(seed).integers(1, 65536, 500)
    try:
        flags = FlagDecoder(data).get(p)
    except CorruptError:
        return
    assert set(np.unique(flags)) <= {0, 1}


@given(st.text(max_size=200))
def test_text_round_trip(text: str) -> None:
    assert decode_text(encode_text(text)) == text


@pytest.mark.parametrize(
    "sentence", ["a man playing golf on grass", "a person swimming in the pool", "sailing on snow"]
)
def test_text_is_small(sentence: str) -> None:
    assert len(encode_text(sentence)) <= 20


def test_text_limits() -> None:
    with pytest.raises(UsageError):
        encode_text("x" * (MAX_TEXT + 1))
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflate.compress(bytes(10_000_000)) + deflate.flush()
    with pytest.raises(CorruptError, match="too long"):
        decode_text(bomb)


@given(st.binary(max_size=60))
def test_text_of_garbage(data: bytes) -> None:
    with contextlib.suppress(CorruptError):
        assert len(decode_text(data).encode()) <= MAX_TEXT


def _frequencies(count: int, half: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(2 * half + 1) * 0.5, count)
    rows = 1 + np.floor(weights * (32768 - 2 * half - 1)).astype(int)
    rows[:, half] += 32768 - rows.sum(1)
    return rows.astype(np.uint16)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_latent_round_trip(count: int, half: int, seed: int) -> None:
    frequencies = _frequencies(count, half, seed)
    rng = np.random.default_rng(seed)
    latent = rng.integers(-half, half + 1, count).astype(np.int32)
    data = encode_latent(latent, frequencies)
    assert np.array_equal(decode_latent(data, frequencies), latent)


def test_latent_costs_what_its_frequencies_say() -> None:
    frequencies = _frequencies(400, 5, 1)
    rng = np.random.default_rng(2)
    latent = np.array([rng.choice(11, p=row / 32768) - 5 for row in frequencies], np.int32)
    bits = -sum(np.log2(row[v + 5] / 32768) for row, v in zip(frequencies, latent, strict=True))
    assert len(encode_latent(latent, frequencies)) == pytest.approx(bits / 8, abs=3)


def test_latent_rejects_what_does_not_fit() -> None:
    frequencies = _frequencies(3, 2, 0)
    with pytest.raises(UsageError):
        encode_latent(np.array([0, 3, 0], np.int32), frequencies)
    with pytest.raises(ModelError):
        decode_latent(b"", frequencies + np.uint16(1))


@settings(deadline=None)
@given(st.binary(max_size=20))
def test_latent_of_garbage(data: bytes) -> None:
    try:
        latent = decode_latent(data, _frequencies(10, 3, 0))
    except GistcastError:
        return
    assert np.abs(latent).max() <= 3
