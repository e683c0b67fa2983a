"""Sender and receiver, the whole stack, joined by queues instead of a network."""

from __future__ import annotations

import asyncio
import io
import json
import random
import threading
from types import ModuleType
from typing import Any

import pytest

from gistcast.codec.errors import CorruptError, GistcastError, UsageError
from gistcast.codec.packet import RESIDUAL, TEXT, Packet
from gistcast.stream import (
    ClipSink,
    ClipSource,
    GistSink,
    Limits,
    ReceivedClip,
    ReceiveSettings,
    ReceiveSummary,
    SendSettings,
    SendSummary,
    StreamError,
    Tee,
    VideoSink,
)
from gistcast.stream.fragment import cut_clip
from gistcast.stream.link import ChannelName
from gistcast.stream.memory import Fate, faithful, lossy, memory_pair
from gistcast.stream.messages import ClipMarker, End, Header, Kind, Parity, parse_message
from gistcast.stream.network import Conditions, Path
from gistcast.stream.receiver import Receiver
from gistcast.stream.sender import Sender, SourceClip, _Coded

FAST = SendSettings(realtime=False, rate=1e9)
PATIENT = ReceiveSettings(limits=Limits(grace=0.02), silence=5)


async def stream(
    source: ClipSource,
    sink: ClipSink,
    send: SendSettings = FAST,
    receive: ReceiveSettings = PATIENT,
    fate: Fate = faithful,
) -> tuple[SendSummary, ReceiveSummary]:
    """Send everything through memory."""
    here, there = memory_pair(fate)
    async with asyncio.timeout(20):
        both = await asyncio.gather(
            Sender(here, source, send).run(), Receiver(there, sink, receive).run()
        )
    await here.close()
    return both


def damage(rate: float, seed: int = 1, *, control: bool = False) -> Fate:
    """Lose, flip, cut, repeat: each with probability `rate`, of residual messages or of all."""
    rng = random.Random(seed)

    def fate(channel: ChannelName, data: bytes) -> list[bytes]:
        if channel == ChannelName.CONTROL and not control:
            return [data]
        if rng.random() < rate:
            return []
        if rng.random() < rate:
            at = rng.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        if rng.random() < rate:
            data = data[: rng.randrange(len(data))]
        return [data] * (2 if rng.random() < rate else 1)

    return fate


async def test_what_arrives_is_what_was_sent(toy: ModuleType) -> None:
    out = io.BytesIO()
    sent, received = await stream(toy.ToySource(300), GistSink(out))
    assert out.getvalue() == toy.HEADER + b"".join(map(toy.toy_bytes, range(300)))
    assert received.ended and received.complete == received.clips == sent.clips == 300
    assert received.payload_bytes == sent.payload_bytes == len(out.getvalue()) - len(toy.HEADER)
    assert received.messages == sent.messages
    assert received.message_bytes == sent.message_bytes
    assert sent.receiver is not None and sent.receiver.clip == 300
    assert sent.message_bytes < 1.02 * sent.payload_bytes  # framing


async def test_every_clip_decodes_with_a_fifth_of_the_residual_lost(
    toy: ModuleType, writer: Any
) -> None:
    out = io.BytesIO()
    sink = Tee(VideoSink(lambda _: toy.ToyDecoder(), lambda _: writer), GistSink(out))
    path = Path(Conditions(loss=0.2), seed=7)
    _, received = await stream(toy.ToySource(100), sink, fate=lossy(path))
    assert 50 < path.counts.lost < 110
    assert received.counters.missing == path.counts.lost
    assert len(writer.clips) == 100 and writer.closed == 1
    assert received.partial + received.complete == 100 and 20 < received.complete < 80
    layers = [int(clip.y[0, 0, 0]) for clip in writer.clips]
    assert set(layers) == {3, 4, 5, 6, 7}  # a lost message of four costs all layers behind it
    again = io.BytesIO()
    await stream(
        toy.ToySource(100), GistSink(again), fate=lossy(Path(Conditions(loss=0.2), seed=7))
    )
    assert again.getvalue() == out.getvalue()  # the same seed, the same losses


async def test_parity_pays_for_loss(toy: ModuleType) -> None:
    async def protected(protect: int) -> ReceiveSummary:
        settings = SendSettings(realtime=False, rate=1e9, protect=protect)
        fate = lossy(Path(Conditions(loss=0.1), seed=3))
        return (await stream(toy.ToySource(100), GistSink(io.BytesIO()), settings, fate=fate))[1]

    bare, some, twice = await protected(0), await protected(4), await protected(1)
    assert bare.complete < some.complete < twice.complete
    assert some.counters.recovered > 20 and bare.counters.recovered == 0


async def test_first_clip_lost_is_grey_and_later_ones_hold(toy: ModuleType, writer: Any) -> None:
    class Bare(toy.ToySource):
        """Residual layers only: with all of them lost nothing is left but the marker."""

        def __iter__(self):
            for clip in super().__iter__():
                packets = [p for p in clip.code(None) if p.layer > RESIDUAL + 1]
                yield type(clip)(8, 0.04, lambda _, p=packets: p)

    class Decoder(toy.ToyDecoder):
        def decode_clip(self, packets):
            return super().decode_clip(toy.toy_packets(0)[:4] + packets)

    def fate(channel: ChannelName, data: bytes) -> list[bytes]:
        return [] if channel == ChannelName.RESIDUAL and data[1] in (0, 2) else [data]

    sink = VideoSink(lambda _: Decoder(), lambda _: writer)
    _, received = await stream(Bare(3), sink, fate=fate)
    assert (received.concealed, received.complete, sink.held) == (2, 1, 2)
    assert [int(c.y[0, 0, 0]) for c in writer.clips] == [126, 7, 7]
    assert [c.frames for c in writer.clips] == [8, 8, 8]


async def test_clips_that_the_decoder_refuses_are_concealed(toy: ModuleType, writer: Any) -> None:
    class Moody(toy.ToyDecoder):
        def decode_clip(self, packets):
            if packets[0].clip == 1:
                raise CorruptError("no")
            return super().decode_clip(packets)

    sink = VideoSink(lambda _: Moody(), lambda _: writer)
    await stream(toy.ToySource(3), sink)
    assert sink.damaged == 1 and len(writer.clips) == 3


@pytest.mark.parametrize("seed", range(4))
async def test_damaged_messages_never_break_the_receiver(toy: ModuleType, seed: int) -> None:
    out = io.BytesIO()
    _, received = await stream(toy.ToySource(60), GistSink(out), fate=damage(0.15, seed))
    assert received.ended and received.clips == 60
    assert received.counters.malformed > 0
    good = {toy.toy_bytes(n)[:length] for n in range(60) for length in _ends(toy, n)}
    position = len(toy.HEADER)
    for number in range(60):
        fit = max(
            (g for g in good if out.getvalue().startswith(g, position) and g[1] == number), key=len
        )
        position += len(fit)
    assert position == len(out.getvalue())  # nothing but whole packets of the sender


def _ends(toy: ModuleType, number: int) -> list[int]:
    total, ends = 0, []
    for packet in toy.toy_packets(number):
        total += len(packet.to_bytes(toy.HEADER))
        ends.append(total)
    return ends


async def test_a_damaged_control_channel_ends_in_silence_not_in_a_crash(toy: ModuleType) -> None:
    for seed in range(6):
        here, there = memory_pair(damage(0.3, seed, control=True))
        settings = ReceiveSettings(limits=Limits(grace=0.02), silence=0.3)
        send = SendSettings(realtime=False, rate=1e9, silence=0.5)
        tasks = [
            asyncio.create_task(Sender(here, toy.ToySource(20), send).run()),
            asyncio.create_task(Receiver(there, GistSink(io.BytesIO()), settings).run()),
        ]
        async with asyncio.timeout(15):
            received = (await asyncio.gather(tasks[1], return_exceptions=True))[0]
            await there.close()
            await asyncio.gather(tasks[0], return_exceptions=True)
        assert isinstance(received, (ReceiveSummary, GistcastError)), received


async def test_sender_vanishes(toy: ModuleType) -> None:
    here, there = memory_pair()
    out = io.BytesIO()
    receiving = asyncio.create_task(Receiver(there, GistSink(out), PATIENT).run())
    sender = Sender(here, toy.ToySource(50, seconds=0.02), SendSettings(rate=1e9, adapt=False))
    sending = asyncio.create_task(sender.run())
    while sender.summary.clips < 5:
        await asyncio.sleep(0.01)
    sending.cancel()
    await here.close()
    received = await receiving
    assert not received.ended and 5 <= received.clips < 50
    whole = received.clips - (received.partial > 0)  # the last may have been under way
    assert out.getvalue().startswith(toy.HEADER + b"".join(map(toy.toy_bytes, range(whole))))


async def test_receiver_vanishes(toy: ModuleType) -> None:
    here, there = memory_pair()
    sending = asyncio.create_task(Sender(here, toy.ToySource(50), FAST).run())
    await asyncio.sleep(0.05)
    await there.close()
    with pytest.raises(StreamError):
        await sending


async def test_silence_is_noticed_on_both_sides(toy: ModuleType) -> None:
    here, there = memory_pair()
    with pytest.raises(StreamError, match="never began"):
        await Receiver(there, GistSink(io.BytesIO()), ReceiveSettings(silence=0.1)).run()
    quiet = SendSettings(realtime=False, silence=0.1)
    with pytest.raises(StreamError, match="no word"):
        await Sender(here, toy.ToySource(2), quiet).run()


async def test_a_failing_sink_is_closed_and_reported(toy: ModuleType) -> None:
    class Broken(GistSink):
        closed = 0

        def write(self, clip: ReceivedClip) -> None:
            raise OSError("disk full")

        def close(self) -> None:
            self.closed += 1

    here, there = memory_pair()
    sink = Broken(io.BytesIO())
    sending = asyncio.create_task(Sender(here, toy.ToySource(5), FAST).run())
    with pytest.raises(OSError, match="disk full"):
        await Receiver(there, sink, PATIENT).run()
    assert sink.closed == 1
    sending.cancel()


async def test_a_failing_source_is_reported(toy: ModuleType) -> None:
    class Broken(toy.ToySource):
        def __iter__(self):
            yield next(super().__iter__())
            raise CorruptError("the video is damaged")

    here, _ = memory_pair()
    with pytest.raises(CorruptError, match="damaged"):
        await Sender(here, Broken(3), FAST).run()


async def test_fast_sender_waits_for_a_slow_sink(toy: ModuleType) -> None:
    ahead = []
    here, there = memory_pair()

    class Slow(GistSink):
        def write(self, clip: ReceivedClip) -> None:
            threading.Event().wait(0.01)
            ahead.append(sender.summary.clips - clip.number)

    sender = Sender(here, toy.ToySource(60), SendSettings(realtime=False, rate=1e9, window=8))
    _, received = await asyncio.gather(
        sender.run(), Receiver(there, Slow(io.BytesIO()), PATIENT).run()
    )
    assert max(ahead) <= 9 and received.overrun == 0 and received.complete == 60


async def test_live_picture_keeps_up_with_a_slow_decoder(toy: ModuleType) -> None:
    decoded = []

    class Slow(GistSink):
        def write(self, clip: ReceivedClip) -> None:
            if clip.packets:
                threading.Event().wait(0.05)
                decoded.append(clip.number)

    settings = ReceiveSettings(limits=Limits(grace=0.02), backlog=3, silence=5)
    source = toy.ToySource(60, seconds=0.01)
    _, received = await stream(source, Slow(io.BytesIO()), SendSettings(rate=1e9), settings)
    assert received.overrun == 60 - len(decoded) > 20
    assert max(received.written_ms) < 500


async def test_realtime_keeps_the_cadence(toy: ModuleType) -> None:
    sent, received = await stream(
        toy.ToySource(10, seconds=0.05), GistSink(io.BytesIO()), SendSettings(rate=1e7)
    )
    told = json.loads(json.dumps(sent.to_json()))
    assert len(told["fits"]) == 10 and told["coded_ms"]["p98"] < 200
    assert json.loads(json.dumps(received.to_json()))["drawn_ms"]["p50"] < 100
    assert 0.5 <= sent.seconds < 0.9
    assert sent.media_seconds == 0.5 and sent.lag_seconds < 0.2
    assert received.to_json()["network_ms"]["p50"] < 100


async def test_rate_is_kept(toy: ModuleType) -> None:
    source = toy.ToySource(20)
    sent, _ = await stream(source, GistSink(io.BytesIO()), SendSettings(realtime=False, rate=1e6))
    assert 0.3e6 < sent.message_bytes * 8 / sent.seconds < 1.1e6


async def test_late_joiner_and_numbers_beyond_the_period(toy: ModuleType) -> None:
    out = io.BytesIO()
    _, received = await stream(toy.ToySource(20, first=1015), GistSink(out))
    assert received.complete == 20
    assert out.getvalue() == toy.HEADER + b"".join(map(toy.toy_bytes, range(1015, 1035)))


async def test_coding_may_take_longer_than_the_receiver_waits(toy: ModuleType) -> None:
    coded, beats = threading.Event(), 0

    class Slow(toy.ToySource):
        def __iter__(self):
            for clip in super().__iter__():
                code = clip.code
                yield type(clip)(8, 0.04, lambda limit, c=code: (coded.wait(20), c(limit))[1])

    def count(channel: ChannelName, data: bytes) -> list[bytes]:
        nonlocal beats
        beats += data[0] == Kind.PING
        if beats == 8:  # 1.2 s of them: longer than the receiver bears silence
            coded.set()
        return [data]

    out = io.BytesIO()
    send = SendSettings(realtime=False, rate=1e9, ping=0.15)
    receive = ReceiveSettings(limits=Limits(grace=0.02), silence=1)
    _, received = await stream(Slow(2), GistSink(out), send, receive, fate=count)
    assert received.ended and received.complete == 2 and beats >= 8


async def test_empty_stream(toy: ModuleType) -> None:
    out = io.BytesIO()
    sent, received = await stream(toy.ToySource(0), GistSink(out))
    assert received.ended and out.getvalue() == toy.HEADER and sent.clips == 0


async def test_what_is_on_the_channels(toy: ModuleType) -> None:
    here, there = memory_pair()
    settings = SendSettings(realtime=False, rate=1e9, protect=2)
    await asyncio.gather(
        Sender(here, toy.ToySource(2), settings).run(),
        Receiver(there, GistSink(io.BytesIO()), PATIENT).run(),
    )
    control = [data[0] for name, data in here.sent if name == ChannelName.CONTROL]
    assert control == [Kind.HEADER, Kind.CLIP, Kind.CLIP, Kind.END]
    residual = [parse_message(d) for name, d in here.sent if name == ChannelName.RESIDUAL]
    assert len(residual) == 2 * (4 + 2) and sum(isinstance(m, Parity) for m in residual) == 4
    marker = parse_message(here.sent[1][1])
    assert isinstance(marker, ClipMarker) and marker.layers == 0b1111111


@pytest.mark.parametrize(
    "bad",
    [
        {"rate": 0},
        {"protect": -1},
        {"base_copies": 9},
        {"window": 0},
        {"silence": 0},
    ],
)
def test_settings_are_checked(bad: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        SendSettings(**bad)


def test_receive_settings_are_checked() -> None:
    for bad in ({"backlog": 0}, {"silence": -1}):
        with pytest.raises(UsageError):
            ReceiveSettings(**bad)


async def scripted(toy: ModuleType, *messages: bytes, hang_up: bool) -> tuple[bytes, Any]:
    """What a receiver makes of exactly these messages: (coded stream, summary)."""
    here, there = memory_pair()
    out = io.BytesIO()
    for data in messages:
        here.send(ChannelName.CONTROL, data)
    receiving = asyncio.create_task(Receiver(there, GistSink(out), PATIENT).run())
    if hang_up:
        await asyncio.sleep(0)
        await here.close()
    summary = await receiving
    return out.getvalue(), summary


def wire(toy: ModuleType, number: int) -> list[bytes]:
    """Marker and residual messages of a toy clip."""
    cut = cut_clip(toy.toy_packets(number), toy.HEADER)
    marker = ClipMarker(number, 8, None, cut.layers, cut.numbered, 0, 0, 60_000, cut.inline)
    return [marker.to_bytes(), *cut.residual]


async def test_a_header_that_was_overtaken(toy: ModuleType) -> None:
    marker, *messages = wire(toy, 0)
    header = Header(0, 0, toy.HEADER).to_bytes()
    script = (*messages, header, marker, End(1, 4).to_bytes())
    data, summary = await scripted(toy, *script, hang_up=False)
    assert data == toy.HEADER + toy.toy_bytes(0)
    assert summary.ended and summary.messages == len(script)


async def test_what_was_under_way_when_the_link_broke_is_written(toy: ModuleType) -> None:
    header = Header(0, 0, toy.HEADER).to_bytes()
    script = (header, *wire(toy, 0)[:2])
    data, summary = await scripted(toy, *script, hang_up=True)
    first = b"".join(p.to_bytes(toy.HEADER) for p in toy.toy_packets(0)[:4])
    assert data == toy.HEADER + first
    assert not summary.ended and summary.partial == 1


async def test_text_alone_draws_only_what_was_sent_as_text_alone(
    toy: ModuleType, writer: Any
) -> None:
    text = [Packet(0, TEXT, b"a cat", last=True)]
    more = [Packet(1, TEXT, b"a dog"), Packet(1, RESIDUAL, bytes(99), last=True)]
    sink = VideoSink(lambda _: toy.ToyDecoder(), lambda _: writer)
    sink.start(toy.HEADER)
    for number, packets, complete in ((0, text, True), (1, more[:1], False), (1, more, True)):
        marker = ClipMarker(number, 8, None, 1, 0, 0, 0, 0, b"")
        sink.write(ReceivedClip(number, 8, None, packets, b"", complete, marker, 0))
    assert [int(c.y[0, 0, 0]) for c in writer.clips] == [1, 1, 2] and sink.held == 1


async def test_what_would_come_far_too_late_is_withheld_but_not_everything(toy: ModuleType) -> None:
    """A second of clip for which the link takes more than two: one of four goes."""
    here, _ = memory_pair()
    sender = Sender(here, toy.ToySource(9), SendSettings())
    assert sender._congestion is not None
    now, packets = asyncio.get_running_loop().time(), toy.toy_packets(0)
    coded = _Coded(SourceClip(8, 1.0, lambda _: packets), packets, now, now)
    sender._congestion.capacity = 1e9
    assert len(sender._fit(coded).packets) == len(packets)
    sender._congestion.capacity = 2_000
    layers = [len(sender._fit(coded).packets) for _ in range(8)]
    assert layers == [0, 0, 0, 3, 0, 0, 0, 3]
    assert sender.summary.withheld == 6
