"""Range coder, text and latent layers: round trips, size, and damaged input."""

from __future__ import annotations

import contextlib
import zlib

import constriction
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gistcast.codec.errors import CorruptError, GistcastError, ModelError, UsageError
from gistcast.codec.latent import decode_latent, encode_latent
from gistcast.codec.rangecoder import FlagDecoder, FlagEncoder
from gistcast.codec.text import MAX_TEXT, decode_text, dictionary, encode_text


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


_BERNOULLI = constriction.stream.model.Bernoulli(perfect=False)


def _chances(rng: np.random.Generator, count: int) -> np.ndarray:
    extremes = rng.choice([1, 2, 255, 32767, 32768, 32769, 65534, 65535], count)
    return np.where(rng.random(count) < rng.random(), extremes, rng.integers(1, 65536, count))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3000))
def test_coder_is_constrictions(seed: int, count: int) -> None:
    """Improbable flags among them, so that carries run through written words."""
    rng = np.random.default_rng(seed)
    p = _chances(rng, count)
    flags = (rng.random(count) < np.where(rng.random(count) < 0.1, 0.5, p / 65536)).astype(np.int32)
    theirs = constriction.stream.queue.RangeEncoder()
    theirs.encode(flags, _BERNOULLI, p / 65536)
    ours = FlagEncoder()
    ours.put(flags, p)
    data, sealed = ours.finish(), theirs.get_compressed().astype(">u4").tobytes()
    assert len(data) <= len(sealed) and data[:-4] == sealed[: max(0, len(data) - 4)]
    padded = np.frombuffer(data + bytes(-len(data) % 4 + 8), ">u4").astype(np.uint32)
    decoded = constriction.stream.queue.RangeDecoder(padded).decode(_BERNOULLI, p / 65536)
    assert np.array_equal(decoded, flags)
    assert np.array_equal(FlagDecoder(sealed).get(p), flags)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 2**32 - 1))
@example(b"\xff" * 9, 1)
def test_damage_is_found_where_constriction_finds_it(data: bytes, seed: int) -> None:
    p = _chances(np.random.default_rng(seed), 300)
    padded = np.frombuffer(data + bytes(-len(data) % 4 + 8), ">u4").astype(np.uint32)
    theirs, ours = constriction.stream.queue.RangeDecoder(padded), FlagDecoder(data)
    for chance in p.tolist():
        try:
            expected = int(theirs.decode(_BERNOULLI, np.array([chance / 65536]))[0])
        except (ValueError, AssertionError, RuntimeError):
            with pytest.raises(CorruptError):
                ours.flag(chance)
            return
        assert ours.flag(chance) == expected


@settings(deadline=None)
@given(st.text(max_size=200))
def test_text_round_trip(text: str) -> None:
    assert decode_text(encode_text(text)) == text


@pytest.mark.parametrize(
    "sentence", ["a man playing golf on grass", "a person swimming in the pool", "sailing on snow"]
)
def test_text_is_small(sentence: str) -> None:
    assert len(encode_text(sentence)) <= 8


def test_text_limits() -> None:
    with pytest.raises(UsageError):
        encode_text("x" * (MAX_TEXT + 1))
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflate.compress(bytes(10_000_000)) + deflate.flush()
    with pytest.raises(CorruptError, match="too long"):
        decode_text(bomb)


def test_texts_of_the_first_form_are_still_read() -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, dictionary())
    old = deflate.compress(b"a man playing golf on grass") + deflate.flush()
    assert decode_text(old) == "a man playing golf on grass"
    assert len(encode_text("a man playing golf on grass")) < len(old)


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
