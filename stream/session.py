"""`gistcast send` and `gistcast receive`: a whole session each, from signalling to hanging up.

The receiver listens as a WHIP endpoint; the sender posts its offer there. Or the receiver is a
viewer: it posts its offer to a relay's WHEP endpoint.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TextIO

from gistcast.stream.link import StreamError
from gistcast.stream.network import Emulator, Network
from gistcast.stream.peer import PeerLink
from gistcast.stream.receiver import ClipSink, Receiver, ReceiveSettings, ReceiveSummary
from gistcast.stream.sender import ClipSource, Sender, SendSettings
from gistcast.stream.sent import SendSummary
from gistcast.stream.signalling import WhipListener, WhipSession, whip_connect

_LINE_SECONDS = 0.5
_HANG_UP_SECONDS = 10.0
_REPEAT_SECONDS = 0.25


class _Summary(Protocol):
    def line(self) -> str: ...


@asynccontextmanager
async def progress_line(summary: _Summary, out: TextIO | None) -> AsyncIterator[None]:
    """Keep one line of statistics on `out` up to date; nothing when it is no terminal."""
    if out is None or not out.isatty():
        yield
        return

    def show() -> None:
        print(f"\r{summary.line()}\x1b[K", end="", file=out, flush=True)

    async def repeat() -> None:
        while True:
            show()
            await asyncio.sleep(_LINE_SECONDS)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        show()
        print(file=out, flush=True)


async def send(
    source: ClipSource,
    url: str,
    settings: SendSettings | None = None,
    *,
    token: str | None = None,
    patience: float = 0.0,
    network: Network | None = None,
    progress: TextIO | None = sys.stderr,
) -> SendSummary:
    """Send `source` to the receiver whose WHIP endpoint is `url`.

    Args:
        source: the clips; read and coded in a worker thread.
        url: as the receiver printed it.
        settings: pacing and protection.
        token: bearer token, where the endpoint asks for one.
        patience: seconds to wait for the endpoint to appear.
        network: what to emulate between here and there; None: nothing.
        progress: where to show progress, if that is a terminal.

    Raises:
        UsageError: `url` is no http(s) address.
        StreamError: no connection, or the receiver went away.
        GistcastError: whatever the source raises.
    """
    settings = settings or SendSettings()
    if network is None:
        session = await whip_connect(url, token=token, patience=patience)
        return await _send(session, source, settings, progress)
    async with Emulator(network) as emulator:
        session = await whip_connect(url, token=token, patience=patience, emulator=emulator)
        emulator.connected()
        summary = await _send(session, source, settings, progress)
        summary.network = emulator.summary
        return summary


async def _send(
    session: WhipSession, source: ClipSource, settings: SendSettings, progress: TextIO | None
) -> SendSummary:
    """The stream itself; hangs up."""
    try:
        sender = Sender(session.link, source, settings)
        async with progress_line(sender.summary, progress):
            return await sender.run()
    finally:
        await session.close()


async def receive(
    sink: ClipSink,
    settings: ReceiveSettings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    wait: float | None = None,
    listening: Callable[[str], None] | None = None,
    started: Callable[[ReceiveSummary], None] | None = None,
    progress: TextIO | None = sys.stderr,
) -> ReceiveSummary:
    """Listen for one sender, receive its stream into `sink`, and return.

    Args:
        sink: takes the clips, in a worker thread.
        settings: limits and patience.
        host, port: where the WHIP endpoint listens; port 0 takes a free one. On a loopback host
            WebRTC itself stays on the loopback, too.
        token: bearer token to ask for.
        wait: seconds to wait for a sender; None waits for ever.
        listening: called with the endpoint's URL once it listens.
        started: called with the summary, which then grows, once a sender has connected.
        progress: where to show progress, if that is a terminal.

    Raises:
        UsageError: cannot listen there.
        StreamError: no sender came, or it went away before its stream began.
        GistcastError: whatever the sink raises.
    """
    async with WhipListener(host, port, token=token) as listener:
        if listening is not None:
            listening(listener.url)
        link = await listener.accept(wait)
        try:
            return await _receive(link, sink, settings, started, progress)
        finally:
            await link.close()


async def view(
    sink: ClipSink,
    url: str,
    settings: ReceiveSettings | None = None,
    *,
    token: str | None = None,
    patience: float = 0.0,
    network: Network | None = None,
    started: Callable[[ReceiveSummary], None] | None = None,
    progress: TextIO | None = sys.stderr,
) -> ReceiveSummary:
    """Receive the stream of the relay whose WHEP endpoint is `url`, from its next clip on.

    Args:
        sink: takes the clips, in a worker thread.
        url: such as http://127.0.0.1:8787/whep.
        settings: limits and patience.
        token: bearer token, where the endpoint asks for one.
        patience: seconds to wait for the endpoint and for a stream to appear there.
        network: what to emulate between here and there; None: nothing.
        started: as of `receive`.
        progress: where to show progress, if that is a terminal.

    Raises:
        UsageError: `url` is no http(s) address.
        StreamError: no connection, no stream, or the relay went away before one began.
        GistcastError: whatever the sink raises.
    """
    async with contextlib.AsyncExitStack() as stack:
        emulator = None
        if network is not None:
            emulator = await stack.enter_async_context(Emulator(network))
        session = await whip_connect(url, token=token, patience=patience, emulator=emulator)
        if emulator is not None:
            emulator.connected()
        try:
            return await _receive(session.link, sink, settings, started, progress)
        finally:
            await session.close()


async def _receive(
    link: PeerLink,
    sink: ClipSink,
    settings: ReceiveSettings | None,
    started: Callable[[ReceiveSummary], None] | None,
    progress: TextIO | None,
) -> ReceiveSummary:
    """The stream itself."""
    receiver = Receiver(link, sink, settings or ReceiveSettings())
    if started is not None:
        started(receiver.summary)
    async with progress_line(receiver.summary, progress):
        summary = await receiver.run()
    if summary.ended:
        await _until_closed(link, receiver.repeat)
    return summary


async def _until_closed(link: PeerLink, repeat: Callable[[], None]) -> None:
    """Let the sender hang up first; `repeat` the last report to it."""
    try:
        async with asyncio.timeout(_HANG_UP_SECONDS):
            while True:
                await link.receive(_REPEAT_SECONDS)
                repeat()
    except (StreamError, TimeoutError):
        return
