"""The relay over real WebRTC on the loopback: senders by WHIP, viewers by WHEP."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from types import ModuleType
from typing import Any

import aiohttp
import pytest

from gistcast.stream import (
    GistSink,
    SendSettings,
    StreamError,
    parse_network,
    send,
    view,
)
from gistcast.stream.relay import Relay, RelayServer, RelaySettings
from gistcast.stream.sender import Sender
from gistcast.stream.signalling import WHEP, WHIP, whip_connect

SDP = {"Content-Type": "application/sdp"}


@asynccontextmanager
async def serving(**options: object) -> AsyncIterator[tuple[Relay, str]]:
    relay = Relay(RelaySettings(hold=20.0), fps=lambda _: Fraction(100))
    async with RelayServer("127.0.0.1", 0, relay, **options) as server:
        yield relay, server.url


async def live(relay: Relay) -> None:
    async with asyncio.timeout(30):
        await relay.live()


async def test_one_sender_and_three_viewers(toy: ModuleType) -> None:
    async with serving(token="in", viewer_token="out") as (_, url):
        sending = asyncio.create_task(
            send(toy.ToySource(25, 0.08), url + WHIP, SendSettings(), token="in")
        )
        outs = [io.BytesIO() for _ in range(3)]
        viewers = [
            view(GistSink(out), url + WHEP, token="out", patience=20, progress=None) for out in outs
        ]
        summaries = await asyncio.gather(*viewers)
        await sending
        for out, summary in zip(outs, summaries, strict=True):
            assert summary.ended and summary.clips >= 5
            # what came is a run of the sender's own bytes
            assert out.getvalue()[: len(toy.HEADER)] == toy.HEADER
        with pytest.raises(StreamError, match="401"):
            await view(GistSink(io.BytesIO()), url + WHEP, token="in")


async def test_no_stream_no_viewers_and_no_second_sender(toy: ModuleType) -> None:
    async with serving() as (relay, url):
        with pytest.raises(StreamError, match="409"):
            await view(GistSink(io.BytesIO()), url + WHEP)
        sending = asyncio.create_task(send(toy.ToySource(200, 0.08), url + WHIP))
        await live(relay)
        with pytest.raises(StreamError, match="503"):
            await send(toy.ToySource(1), url + WHIP)
        sending.cancel()


async def test_a_sender_that_dies_and_comes_back_continues(toy: ModuleType) -> None:
    """Killed without a word: the link goes silent, as with a process that is no more."""
    async with serving() as (relay, url):
        first = await whip_connect(url + WHIP)
        dying = asyncio.create_task(
            Sender(first.link, toy.ToySource(1000, 0.08), SendSettings()).run()
        )
        await live(relay)
        sink = toy.Clips()
        viewing = asyncio.create_task(view(sink, url + WHEP, progress=None))
        await sink.until(lambda: len(sink.clips) >= 3)
        dying.cancel()  # and nobody hangs up
        sent = await send(toy.ToySource(12, 0.08), url + WHIP, patience=30)
        summary = await viewing
        assert summary.ended and relay.resumed == 1
        again = [clip for clip in sink.clips if clip.number >= 256]
        assert [clip.number for clip in again] == list(range(256, 256 + sent.clips))
        await first.link.close()


async def test_a_viewer_that_comes_back_joins_at_the_next_clip(toy: ModuleType) -> None:
    async with serving() as (relay, url):
        sending = asyncio.create_task(send(toy.ToySource(1000, 0.08), url + WHIP))
        await live(relay)
        for _ in range(2):
            sink = toy.Clips()
            newest = relay._last
            viewing = asyncio.create_task(view(sink, url + WHEP, progress=None))
            await sink.until(lambda sink=sink: len(sink.clips) >= 2)
            assert sink.clips[0].number > newest
            numbers = [clip.number for clip in sink.clips[:2]]
            assert numbers[1] == numbers[0] + 1
            viewing.cancel()
            await asyncio.gather(viewing, return_exceptions=True)
        sending.cancel()


async def test_a_slow_viewer_and_a_fast_one(toy: ModuleType) -> None:
    async with serving() as (relay, url):
        sending = asyncio.create_task(send(toy.ToySource(1000, 0.16), url + WHIP))
        await live(relay)
        fast, slow = toy.Clips(), toy.Clips()
        thin = parse_network("down.rate=96k,down.queue=300ms,handshake=clean")
        views = [
            asyncio.create_task(view(fast, url + WHEP, progress=None)),
            asyncio.create_task(view(slow, url + WHEP, progress=None, network=thin)),
        ]
        await slow.until(lambda: len(slow.clips) >= 16)
        await fast.until(lambda: len(fast.clips) >= 16)

        def layers(sink: Any) -> int:
            return sum(len(clip.packets) for clip in sink.clips[8:16])

        assert layers(slow) < layers(fast)
        assert layers(slow) >= 8  # and yet there is something to draw
        for task in (sending, *views):
            task.cancel()
        await asyncio.gather(*views, return_exceptions=True)


async def test_video_is_for_those_who_can_decode(toy: ModuleType) -> None:
    async with serving() as (_, url), aiohttp.ClientSession(url) as http:
        video = (
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"
        )
        async with http.post(WHEP, data=video, headers=SDP) as response:
            assert response.status == 406
