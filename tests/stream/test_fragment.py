"""Cutting, bundling, parity."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gistcast.codec.errors import LimitError
from gistcast.codec.packet import RESIDUAL, TEXT, Packet
from gistcast.stream.assemble import Assembler
from gistcast.stream.fragment import cut_clip, rebuild, xor_messages
from gistcast.stream.messages import (
    MAX_MESSAGE,
    ClipMarker,
    Fragment,
    Packets,
    Parity,
    parse_message,
)


def test_small_clip_is_one_message_with_three_bytes_of_framing(toy: ModuleType) -> None:
    packets = toy.toy_packets(3, (300, 200))
    cut = cut_clip(packets, toy.HEADER)
    assert cut.inline == b"".join(p.to_bytes(toy.HEADER) for p in packets[:2])
    body = b"".join(p.to_bytes(toy.HEADER) for p in packets[2:])
    assert [parse_message(m) for m in cut.residual] == [Packets(3, 0, body)]
    assert len(cut.residual[0]) == len(body) + 3
    assert (cut.control, cut.numbered, cut.layers) == ([], 1, 0b1111)
    assert cut.payload_bytes == len(cut.inline) + len(body)


def test_big_layer_is_cut_and_numbered(toy: ModuleType) -> None:
    cut = cut_clip(toy.toy_packets(300), toy.HEADER)
    messages = [parse_message(m) for m in cut.residual]
    assert [type(m) for m in messages] == [Packets, Fragment, Fragment, Packets]
    assert [m.seq for m in messages] == [0, 1, 2, 3] and {m.clip for m in messages} == {44}
    assert [(m.index, m.count) for m in messages[1:3]] == [(0, 2), (1, 2)]
    whole = toy.toy_packets(300)[3].to_bytes(toy.HEADER)
    assert messages[1].body + messages[2].body == whole


@pytest.mark.parametrize("protect", [0, 1, 3])
@pytest.mark.parametrize("size", [1080, 1088, 1089, 1090, 1091, 1092, 1093, 2180, 2190, 50_000])
def test_no_message_is_too_long(toy: ModuleType, size: int, protect: int) -> None:
    packets = toy.toy_packets(255, (10, size, size + 1))
    cut = cut_clip(packets, toy.HEADER, protect=protect)
    assert max(map(len, cut.residual)) <= MAX_MESSAGE
    numbers = [m.seq for m in map(parse_message, cut.residual) if not isinstance(m, Parity)]
    assert numbers == list(range(cut.numbered))


def test_text_too_long_for_the_marker_travels_reliably(toy: ModuleType) -> None:
    packets = [Packet(0, TEXT, bytes(1500)), Packet(0, RESIDUAL, bytes(10), last=True)]
    cut = cut_clip(packets, toy.HEADER)
    assert cut.inline == b"" and len(cut.control) == 2
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


def test_copies_of_the_base(toy: ModuleType) -> None:
    packets = toy.toy_packets(1, (200, 1000, 500))
    base = packets[2].to_bytes(toy.HEADER)
    plain = cut_clip(packets, toy.HEADER)
    for copies, messages in ((1, 3), (2, 4), (3, 5)):  # the third message has room for one
        cut = cut_clip(packets, toy.HEADER, base_copies=copies)
        assert len(cut.residual) == cut.numbered == messages
        assert sum(base in m for m in cut.residual) == 1 + copies
        assert cut.residual[:2] == plain.residual[:2]
        assert cut.residual[2] == plain.residual[2] + base
        assert [parse_message(m).seq for m in cut.residual] == list(range(messages))
    assert cut_clip(toy.toy_packets(1, (1500, 9)), toy.HEADER, base_copies=2).numbered == 3


def test_copies_survive_what_the_original_does_not(toy: ModuleType) -> None:
    packets = toy.toy_packets(0, (200, 1000, 500))
    cut = cut_clip(packets, toy.HEADER, base_copies=1)
    assembler = Assembler(toy.HEADER)
    assembler.mark(ClipMarker(0, 8, None, cut.layers, 3, 0, 0, 0, cut.inline), 0.0)
    for data in cut.residual[1:]:
        assembler.take(parse_message(data), data, 0.0)
    (clip,) = assembler.ready(0.0)
    assert clip.complete and clip.missing == 1
