"""Cutting, bundling, parity."""

from __future__ import annotations

from itertools import zip_longest
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gistcast.codec.errors import LimitError
from gistcast.codec.packet import RESIDUAL, TEXT, Packet
from gistcast.stream.fragment import MARKER_ROOM, Parities, cut_clip, rebuild, xor_messages
from gistcast.stream.messages import (
    MAX_MESSAGE,
    ClipMarker,
    Parity,
    Piece,
    parse_message,
)


def serialised(toy: ModuleType, packets: list[Packet]) -> bytes:
    return b"".join(p.to_bytes(toy.HEADER) for p in packets)


def test_a_small_clip_travels_in_its_marker(toy: ModuleType) -> None:
    packets = toy.toy_packets(3, (600, 200))
    cut = cut_clip(packets, toy.HEADER)
    assert cut.inline == serialised(toy, packets) and not cut.residual
    assert (cut.control, cut.numbered, cut.layers) == ([], 0, 0b1111)
    assert cut.payload_bytes == len(cut.inline)


def test_what_the_marker_does_not_hold_follows_in_equal_pieces(toy: ModuleType) -> None:
    packets = toy.toy_packets(300)
    cut = cut_clip(packets, toy.HEADER)
    pieces = [parse_message(m) for m in cut.residual]
    whole = cut.inline + b"".join(p.body for p in pieces)
    assert whole == serialised(toy, packets) and cut.payload_bytes == len(whole)
    assert len(cut.inline) == MARKER_ROOM and all(isinstance(p, Piece) for p in pieces)
    assert [p.seq for p in pieces] == [0, 1, 2, 3] and {p.clip for p in pieces} == {44}
    assert max(map(len, cut.residual)) - min(map(len, cut.residual)) <= len(pieces)
    assert len(cut.residual[0]) == len(pieces[0].body) + 3


@pytest.mark.parametrize("protect", [0, 1, 3])
@pytest.mark.parametrize("size", [1080, 1088, 1089, 1090, 1091, 1092, 1093, 2180, 2190, 50_000])
def test_no_message_is_too_long(toy: ModuleType, size: int, protect: int) -> None:
    packets = toy.toy_packets(255, (10, size, size + 1))
    cut = cut_clip(packets, toy.HEADER, protect=protect)
    assert max(map(len, cut.residual)) <= MAX_MESSAGE
    numbers = [m.seq for m in map(parse_message, cut.residual) if not isinstance(m, Parity)]
    assert numbers == list(range(cut.numbered))


def test_text_too_long_for_the_marker_travels_reliably(toy: ModuleType) -> None:
    packets = [Packet(0, TEXT, bytes(2500)), Packet(0, RESIDUAL, bytes(10), last=True)]
    cut = cut_clip(packets, toy.HEADER)
    assert len(cut.inline) == MARKER_ROOM and len(cut.control) == 2
    assert parse_message(cut.residual[0]).seq == 2 and cut.numbered == 3


def test_a_clip_may_be_too_big(toy: ModuleType) -> None:
    huge = [Packet(0, RESIDUAL + k, bytes(1 << 20)) for k in range(5)]
    with pytest.raises(LimitError):
        cut_clip(huge, toy.HEADER)


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=6), st.data())
def test_any_one_message_of_a_group_is_rebuilt(messages: list[bytes], data: st.DataObject) -> None:
    lost = data.draw(st.integers(0, len(messages) - 1))
    others = messages[:lost] + messages[lost + 1 :]
    assert rebuild(xor_messages(messages), others) == messages[lost]


def test_parity_that_fits_nothing_rebuilds_nothing() -> None:
    assert rebuild(xor_messages([b"a"]), [b"longer"]) is None
    assert rebuild(xor_messages([b"ab", b"ab"]), []) is None  # length 0
    assert rebuild(b"\x01\x00ab", []) is None  # length 1, yet two bytes
    assert rebuild(b"\x03\x00ab", []) is None  # length 3, only two bytes


def test_groups_of_parity(toy: ModuleType) -> None:
    cut = cut_clip(toy.toy_packets(1), toy.HEADER, protect=3)
    parities = [m for m in map(parse_message, cut.residual) if isinstance(m, Parity)]
    assert [(p.first, p.count) for p in parities] == [(0, 3), (3, 1)]
    assert cut.numbered == 4 and len(cut.residual) == 6


def test_the_marker_has_room_for_its_longest_fields() -> None:
    longest = ClipMarker(1 << 39, 32, 1 << 55, (1 << 16) - 1, 4096, 1 << 39, 1 << 20, 1 << 20, b"")
    assert len(longest.to_bytes()) + MARKER_ROOM <= MAX_MESSAGE


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=12),
    st.lists(st.tuples(st.integers(0, 52), st.booleans()), max_size=80),
)
def test_parities_know_what_is_missing(
    groups: list[tuple[int, int]], steps: list[tuple[int, bool]]
) -> None:
    """As a search through all of them would have it."""
    parities, taken, here = Parities(), list[Parity](), set[int]()
    for step, group in zip_longest(steps, groups):
        if group is not None:
            parity = Parity(0, *group, b"body")
            mine = set(range(parity.first, parity.first + parity.count))
            free = not any(mine & set(range(p.first, p.first + p.count)) for p in taken)
            assert parities.add(parity, here) == free
            taken += [parity] * free
        if step is not None and step[1] != (step[0] in here):
            here ^= {step[0]}
            (parities.came if step[1] else parities.gone)(step[0])
        for parity in taken:
            lost = set(range(parity.first, parity.first + parity.count)) - here
            assert parities.lost(parity, here) == (lost.pop() if len(lost) == 1 else None)
    for seq in range(60):
        covering = [p for p in taken if 0 <= seq - p.first < p.count]
        assert [parities.covering(seq)] == (covering or [None])
    assert len(parities) == len(taken) and all(p in parities for p in taken)
