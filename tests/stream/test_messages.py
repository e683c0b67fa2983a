"""Messages: golden bytes, malformed siblings, round trips."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gistcast.codec.errors import CorruptError, LimitError
from gistcast.stream.messages import (
    MAX_MESSAGE,
    Arrival,
    ClipMarker,
    Copied,
    Cut,
    End,
    Header,
    Parity,
    Piece,
    Ping,
    Report,
    parse_message,
)

GOLDEN = {
    "0102 1027000000000000 05 475354": Header(10000, 5, b"GST"),
    "02 ac02 20 00 07 03 e807 05 0c aabb": ClipMarker(
        300, 32, None, 0b111, 3, 1000, 5, 12, b"\xaa\xbb"
    ),
    "02 00 08 01 04 00 00 00 00": ClipMarker(0, 8, 0, 0b100, 0, 0, 0, 0, b""),
    "03 2c 8001 aabbcc": Piece(300 % 256, 128, b"\xaa\xbb\xcc"),
    "03 00 00 ff": Piece(0, 0, b"\xff"),
    "05 07 04 02 010003": Parity(7, 4, 2, b"\x01\x00\x03"),
    "06 0a 64": End(10, 100),
    "07 01 0a 64 e807 07 02 01 05 03 0b 00": Report(True, 10, 100, 1000, 7, 2, 1, 5, 3, 11),
    "07 00 00 00 00 00 00 00 00 00 00 02 ff 00 e807 00 8020 05": Report(
        False, *[0] * 9, arrivals=(Arrival(255, 0, 1000), Arrival(0, 4096, 1005))
    ),
    "08": Ping(),
    "0b ac02 03": Cut(300, 3),
    "09 ac02 20 00 07 03 e807 05 0c aabb": Copied(
        ClipMarker(300, 32, None, 0b111, 3, 1000, 5, 12, b"\xaa\xbb")
    ),
}

MALFORMED = {
    "empty": "",
    "header cut in the epoch": "0102 102700",
    "header of another version": "0101 1027000000000000 05 475354",
    "header without a first clip": "0102 1027000000000000",
    "clip of no frames": "02 00 00 00 00 00 00 00 00",
    "clip of 33 frames": "02 00 21 00 00 00 00 00 00",
    "clip with layer 16": "02 00 08 00 808004 00 00 00 00",
    "clip of 4097 messages": "02 00 08 00 01 8120 00 00 00",
    "clip cut in its fields": "02 00 08 00",
    "piece without a clip": "03",
    "piece without a number": "03 00",
    "piece number 4096": "03 00 8020 ff",
    "number not in shortest form": "03 00 8000 ff",
    "piece of nothing": "03 00 01",
    "parity over nothing": "05 07 04 00 010003",
    "parity past the last number": "05 07 ff1f 02 010003",
    "parity of no message": "05 07 04 02 0100",
    "end cut short": "06 0a",
    "report neither finished nor not": "07 02 0a 64 e807 07 02 01 05 03",
    "cut without a number": "0b 2c",
    "cut at message 4097": "0b 00 8120",
    "copy of no frames": "09 00 00 00 00 00 00 00 00",
    "report of an arrival that is not there": "07 01 0a 64 e807 07 02 01 05 03 0b 01",
    "report cut in an arrival": "07 01 0a 64 e807 07 02 01 05 03 0b 01 00 01",
    "report of 129 arrivals": "07 01 0a 64 e807 07 02 01 05 03 0b 8101" + "00" * 500,
    "report of message 4097": "07 01 0a 64 e807 07 02 01 05 03 0b 01 00 8120 00",
    "report cut short": "07 01 0a 64 e807 07 02",
    "too long": "08" * (MAX_MESSAGE + 1),
}


@pytest.mark.parametrize(("hexed", "message"), GOLDEN.items())
def test_golden(hexed: str, message: object) -> None:
    assert parse_message(bytes.fromhex(hexed)) == message
    assert message.to_bytes() == bytes.fromhex(hexed)


@pytest.mark.parametrize("hexed", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed(hexed: str) -> None:
    with pytest.raises(CorruptError):
        parse_message(bytes.fromhex(hexed))


def test_later_versions_may_add() -> None:
    assert parse_message(b"\x0cwhat is this") is None
    assert parse_message(b"\xff") is parse_message(b"\x04") is parse_message(b"\x0a") is None
    for message in (End(1, 2), Report(False, 1, 2, 3, 4, 5, 6, 7, 8), Ping(), Cut(1, 2)):
        assert parse_message(message.to_bytes() + b"more") == message


def test_stream_header_must_fit() -> None:
    with pytest.raises(LimitError):
        Header(0, 0, bytes(1025)).to_bytes()
    with pytest.raises(CorruptError):
        parse_message(bytes.fromhex("0102 1027000000000000 00") + bytes(1025))


@given(st.binary(max_size=64).map(bytes) | st.binary(min_size=1, max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        message = parse_message(data)
    except CorruptError:
        return
    if message is not None:  # what was understood has one form, but for ignored surplus
        assert data.startswith(message.to_bytes())


@given(st.integers(0, 12), st.binary(max_size=48))
def test_bodies_behind_every_kind(kind: int, body: bytes) -> None:
    test_any_bytes_are_read_or_refused.hypothesis.inner_test(bytes([kind]) + body)
