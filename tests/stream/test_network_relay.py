"""The relay between two peers: descriptions, packets on the wire, and a whole stream."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import ModuleType

import pytest

from gistcast.codec.packet import LATENT, TEXT
from gistcast.stream import ReceivedClip, SendSettings, StreamError, parse_network, receive, send
from gistcast.stream.network import Emulator, Path
from gistcast.stream.network.sdp import first_candidate, with_candidate
from gistcast.stream.peer import PeerLink

SDP = """v=0
c=IN IP4 192.0.2.1
m=application 4000 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 192.0.2.1
a=candidate:1 1 tcp 9000000000 192.0.2.1 9 typ host tcptype active
a=candidate:2 1 udp 100 192.0.2.1 4000 typ host
a=candidate:3 1 UDP 200 2001:db8::1 4001 typ host generation 0
a=candidate:4 2 udp 999 192.0.2.1 4002 typ host
a=candidate:5 1 udp 999 198.51.100.1 4003 typ srflx raddr 192.0.2.1 rport 4000
a=candidate:6 1 udp 999 b0a1.local 4004 typ host
a=candidate:7 1 udp x 192.0.2.9 70000 typ host
a=end-of-candidates
m=video 5000 UDP/TLS/RTP/SAVPF 96
a=candidate:1 1 udp 500 192.0.2.2 5000 typ host
""".replace("\n", "\r\n")


def test_which_candidate_is_served() -> None:
    assert first_candidate(SDP) == ("2001:db8::1", 4001)
    assert first_candidate(SDP, version=4) == ("192.0.2.1", 4000)
    assert first_candidate(SDP.replace(" 192.0.2.1 4000 typ", " x 4000 typ"), version=4) == (
        "192.0.2.2",
        5000,
    )
    assert first_candidate("v=0\r\n") is None


def test_descriptions_with_one_candidate_a_section() -> None:
    lines = with_candidate(SDP, ("::1", 77)).splitlines()
    ours = "a=candidate:1 1 udp 2130706431 ::1 77 typ host"
    assert [line for line in lines if "candidate:" in line] == [ours, ours]
    assert lines[1] == lines[3] == "c=IN IP6 ::1"
    assert lines[2] == "m=application 77 UDP/DTLS/SCTP webrtc-datachannel"
    assert lines.index("a=end-of-candidates") == 5
    assert first_candidate(with_candidate(SDP, ("::1", 77))) == ("::1", 77)


async def test_a_peer_sees_only_the_relay() -> None:
    link = PeerLink()
    try:
        async with Emulator(parse_network("")) as emulator:
            offer = await link.offer()
            seen = await emulator.offer(offer)
            assert first_candidate(offer) != first_candidate(seen)
            assert seen.count("a=candidate") == 1
            with pytest.raises(StreamError, match="no IPv4"):
                emulator.answer(SDP.replace(" udp ", " tcp "))
    finally:
        await link.close()
    async with Emulator(parse_network("")) as emulator:
        with pytest.raises(StreamError, match="no UDP host candidate"):
            await emulator.offer("v=0\r\n")


class Peer(asyncio.DatagramProtocol):
    """Keeps what comes, with the time."""

    def __init__(self) -> None:
        self.got: list[tuple[float, bytes]] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.got.append((time.monotonic(), data))


async def until(condition: Callable[[], object]) -> None:
    """Wait, and a moment longer, for what should not come."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.02)


def described(socket_name: tuple) -> str:
    """A description whose candidate is a plain socket."""
    return with_candidate(SDP, socket_name[:2])


@asynccontextmanager
async def joined(spec: str, host: str = "127.0.0.1") -> AsyncIterator[tuple]:
    """(emulator, [(peer, its socket, where it sends to) of both sides])."""
    loop = asyncio.get_running_loop()
    sockets = [await loop.create_datagram_endpoint(Peer, local_addr=(host, 0)) for _ in range(2)]
    here, there = (described(s.get_extra_info("sockname")) for s, _ in sockets)
    try:
        async with Emulator(parse_network(spec)) as emulator:
            far = first_candidate(await emulator.offer(here))
            near = first_candidate(emulator.answer(there))
            ends = [(peer, s, to) for (s, peer), to in zip(sockets, (near, far), strict=True)]
            yield emulator, ends
    finally:
        for transport, _ in sockets:
            transport.close()
        await asyncio.sleep(0)


async def test_packets_take_the_path_that_the_model_says() -> None:
    spec = "loss=20%,duplicate=10%,delay=50ms,jitter=20ms,down.loss=0,seed=3"
    async with joined(spec) as (emulator, ((a, up, near), (b, down, far))):
        path, sent, start = Path(parse_network(spec).up, seed=3), {}, time.monotonic()
        for number in range(60):
            sent[number] = time.monotonic()
            up.sendto(bytes([number]) * 100, near)
            await asyncio.sleep(0.002)
        down.sendto(b"back", far)
        counts = emulator.summary.up
        await until(lambda: a.got and counts.packets == 60 and len(b.got) == counts.delivered)
        expected = [data[0] for _, data in b.got]
        assert expected == [
            n for n in range(60) for _ in path.send(sent[n] - start, 128)
        ]  # lost, copied and in order as in virtual time
        assert all(when - sent[data[0]] > 0.029 for when, data in b.got)
        assert [data for _, data in a.got] == [b"back"]
        assert (counts.packets, counts.bytes) == (60, 60 * 128)  # 28 bytes of IPv4 and UDP each
        assert counts.lost == path.counts.lost > 0 and counts.delivered == len(b.got)
        assert emulator.summary.down.bytes == 4 + 28


async def test_strangers_are_ignored() -> None:
    async with joined("") as (emulator, ((_, up, near), (b, _, _))):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for _ in range(100):
                stranger.sendto(b"let me in", near)
        up.sendto(b"mine", near)
        await until(lambda: b.got and emulator.summary.strangers == 100)
        assert [data for _, data in b.got] == [b"mine"]
        assert emulator.summary.up.packets == 1


async def test_answerers_quicker_than_their_answer() -> None:
    loop = asyncio.get_running_loop()
    (s, a), (t, _) = [
        await loop.create_datagram_endpoint(Peer, local_addr=("127.0.0.1", 0)) for _ in range(2)
    ]
    async with Emulator(parse_network("")) as emulator:
        seen = await emulator.offer(described(s.get_extra_info("sockname")))
        for number in range(50):
            t.sendto(bytes([number]), first_candidate(seen))
        await until(lambda: emulator.summary.strangers == 50 - 32)
        emulator.answer(described(t.get_extra_info("sockname")))
        await until(lambda: len(a.got) >= 32)
        assert [data[0] for _, data in a.got] == list(range(32))  # so many are kept
    s.close()
    t.close()
    await asyncio.sleep(0)


async def test_what_is_under_way_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gistcast.stream.network.relay._MAX_WAITING", 10)
    async with joined("delay=30s") as (emulator, ((_, up, near), (b, _, _))):
        for _ in range(30):
            up.sendto(b"x", near)
        await until(lambda: emulator.summary.up.packets == 30)
        assert emulator.summary.overflowed == 20 and not b.got


async def test_a_bottleneck_on_the_wire() -> None:
    spec = "rate=160k,queue=150ms"  # 10 ms for 200 bytes
    async with joined(spec) as (emulator, ((_, up, near), (b, _, _))):
        start = time.monotonic()
        for number in range(40):
            up.sendto(bytes([number]) * 172, near)
        counts = emulator.summary.up
        await until(lambda: counts.packets == 40 and len(b.got) == counts.delivered)
        assert counts.dropped > 10 and len(b.got) == 40 - counts.dropped
        for number, (when, _) in enumerate(b.got, 1):
            assert when - start > 0.0099 * number  # never faster than the rate


def _loopback6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not _loopback6(), reason="no IPv6 on this machine")
async def test_ipv6_has_longer_headers() -> None:
    async with joined("", host="::1") as (emulator, ((_, up, near), (b, _, _))):
        up.sendto(b"1234", near)
        await until(lambda: b.got)
        assert len(b.got) == 1 and emulator.summary.up.bytes == 4 + 48


class Kept:
    """A sink that keeps the clips."""

    def __init__(self) -> None:
        self.clips: list[ReceivedClip] = []

    def start(self, header: bytes) -> None:
        return

    def write(self, clip: ReceivedClip) -> None:
        self.clips.append(clip)

    def close(self) -> None:
        return


async def test_a_stream_through_a_lossy_link(toy: ModuleType) -> None:
    network = parse_network("loss=10%,delay=20ms,seed=1,handshake=clean")
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    sink = Kept()
    receiving = asyncio.create_task(receive(sink, wait=20, listening=url.set_result))
    source, settings = toy.ToySource(20, seconds=0.1), SendSettings(realtime=True)
    async with asyncio.timeout(60):
        sent = await send(source, await url, settings, network=network)
        received = await receiving
    assert received.ended and [clip.number for clip in sink.clips] == list(range(20))
    for clip in sink.clips:  # what travels reliably is all there, the rest is whole or missing
        assert [p.layer for p in clip.packets[:2]] == [TEXT, LATENT]
        assert clip.packets == toy.toy_packets(clip.number)[: len(clip.packets)]
    assert sent.network is not None and sent.receiver is not None and sent.receiver.finished
    up, down = sent.network.up, sent.network.down
    assert up.lost > 0 and sent.resent > 0
    # how much comes in time is up to the machine: real clocks, and maybe other work
    assert received.counters.missing <= up.lost and received.complete > 0
    assert received.complete + received.partial == 20 and received.concealed == 0
    assert min(received.network_ms) > 20
    assert sent.message_bytes < sent.network.stream_bytes < 2 * sent.message_bytes
    assert sent.network.handshake_bytes + sent.network.stream_bytes == up.bytes
    assert down.packets > 20 and sent.network.strangers == sent.network.overflowed == 0
    assert len(sent.fits) == 20
    shown = sent.to_json()
    assert shown["kbps"] < shown["kbps_wire"] == round(sent.network.stream_bytes * 8e-3 / 2, 3)
    assert shown["network"]["up"]["queue_ms"] == {"p50": 0.0, "p95": 0.0}


async def test_a_stream_is_cut_to_fit_a_narrow_link(toy: ModuleType) -> None:
    network = parse_network("rate=64k,queue=2s,delay=10ms,handshake=clean")
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    sink = Kept()
    receiving = asyncio.create_task(receive(sink, wait=20, listening=url.set_result))
    async with asyncio.timeout(60):
        sent = await send(toy.ToySource(8, seconds=0.6), await url, network=network)
        received = await receiving
    assert received.ended and received.concealed == 0 and received.clips == 8
    assert sent.message_bytes < 1.5 * sent.payload_bytes  # little is asked for that is under way
    assert sent.left_bytes > 0 and min(fit.capacity for fit in sent.fits) < 90e3
    for clip in sink.clips:  # what is cut off was never announced
        assert len(clip.packets) >= 3 or not clip.complete
        assert clip.packets == toy.toy_packets(clip.number)[: len(clip.packets)]
