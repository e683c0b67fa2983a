"""The text that says what a network is like, and traces in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from gistcast.cli import main
from gistcast.codec.errors import UsageError
from gistcast.stream.network import Conditions, Network, parse_network
from gistcast.stream.network.trace import Trace, read_trace


def test_a_perfect_link() -> None:
    for text in ("", "  "):
        assert parse_network(text) == Network(Conditions(), Conditions(), text=text)


def test_everything_at_once() -> None:
    network = parse_network(
        "loss=5%, burst=4 ,delay=40ms,jitter=10ms,reorder=1%,duplicate=0.02,rate=64k,"
        "queue=100ms,seed=7,handshake=clean"
    )
    same = Conditions(0.05, 4, 0.04, 0.01, 0.01, True, 0.02, 64_000, None, 0.1)
    assert network.up == network.down == same
    assert network.seed == 7 and network.clean_handshake


def test_directions_differ() -> None:
    network = parse_network("down.loss=0,loss=5%,up.rate=1.5M,delay=1s,down.reorder=jitter")
    assert network.up == Conditions(loss=0.05, rate=1.5e6, delay=1.0)
    assert network.down == Conditions(delay=1.0, ordered=False)


def test_queues_in_bytes() -> None:
    up = parse_network("rate=64k,queue=20kB").up
    assert up.queue_bytes == 20_000 and up.queue_seconds >= 60
    assert parse_network("rate=64k,queue=1504B").up.queue_bytes == 1504
    assert parse_network("rate=64k").up.queue_seconds == 1.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("loss", "'loss' is not FIELD=VALUE"),
        ("loss=", "FIELD=VALUE"),
        ("loss=5%,", "'' is not FIELD=VALUE"),
        ("los=5%", "no field 'los'; there are loss, burst"),
        ("left.loss=5%", "no field 'left.loss'"),
        (".loss=5%", "no field '.loss'"),
        ("up.seed=1", "up.seed stands twice, or is no matter of one direction"),
        ("loss=5%,loss=1%", "loss stands twice"),
        ("loss=5", "write loss=5%"),
        ("loss=101%", "loss is a share"),
        ("loss=five", "write it like loss=5%"),
        ("loss=nan", "write it like loss=5%"),
        ("loss=-1%", "write it like loss=5%"),
        ("delay=40", "write delay=40ms"),
        ("delay=40us", "write it like delay=40ms"),
        ("delay=61s", "delay lies between 0 and 60 s"),
        ("jitter=5ms", "jitter exceeds delay"),
        ("reorder=1%", "reorder needs a delay"),
        ("duplicate=2", "write duplicate=2%"),
        ("rate=0", "leave it out"),
        ("rate=64kbit", "write it like rate=64k"),
        ("rate=10", "rate lies between 1k"),
        ("queue=100ms", "queue needs a bottleneck"),
        ("rate=64k,queue=100", "write queue=200ms or 20kB"),
        ("rate=64k,queue=100B", "at least one packet of 1504"),
        ("burst=4", "name a loss, too"),
        ("loss=5%,burst=0.5", "burst is a mean run of losses"),
        ("loss=90%,burst=4", "burst must be at least 9"),
        ("seed=-1", "no whole number"),
        ("seed=1.5", "no whole number"),
        (f"seed={1 << 64}", "no whole number"),
        ("handshake=none", "neither clean nor lossy"),
        ("trace=/nowhere/at/all", "cannot be read: No such file"),
    ],
)
def test_what_is_refused_says_why(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_network(text)
    assert says in str(caught.value) and str(caught.value).startswith("network: ")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "at least one time"),
        (b"0\n", "at least one time"),
        (b"1\n3\n2\n", "must not decrease"),
        (b"1\nx\n", "line 2: 'x'"),
        (b"-1\n", "line 1"),
        (b"1.5\n", "line 1"),
        (b"9" * 13, "line 1"),
    ],
)
def test_bad_traces(tmp_path: Path, body: bytes, says: str) -> None:
    file = tmp_path / "bad.trace"
    file.write_bytes(body)
    with pytest.raises(UsageError, match=says):
        parse_network(f"trace={file}")


def test_a_trace_from_a_file_and_no_rate_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "good.trace"
    file.write_bytes(b"0\n2\r\n2\n5\n")
    assert parse_network(f"trace={file}").down.trace == read_trace(file) == Trace((0, 2, 2, 5))
    with pytest.raises(UsageError, match="exclude each other"):
        parse_network(f"trace={file},rate=64k")


def test_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["send", "x.gist", "--to", "http://127.0.0.1:1/whip", "--network", "loss=5"]) == 2
    assert "write loss=5%" in capsys.readouterr().err
