"""`gistcast send` and `gistcast receive`: a whole session each, from signalling to hanging up.

The receiver listens as a WHIP endpoint; the sender posts its offer there. Or the receiver is a
viewer: it posts its offer to a relay's WHEP endpoint.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TextIO

from gistcast.stream.link import StreamError
from gistcast.stream.network import Emulator, Network
from gistcast.stream.peer import PeerLink
from gistcast.stream.receiver import ClipSink, Receiver, ReceiveSettings, ReceiveSummary
from gistcast.stream.resume import Continuation, Continued, joined, waits
from gistcast.stream.sender import ClipSource, Sender, SendSettings, coding_thread
from gistcast.stream.sent import SendSummary
from gistcast.stream.signalling import WhipListener, WhipSession, whip_connect

_LINE_SECONDS = 0.5
_HANG_UP_SECONDS = 10.0
_REPEAT_SECONDS = 0.25
_SILENCE = 8.0  # seconds after which a viewer takes a relay for gone that it may call again


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
    reconnect: float = 0.0,
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
        reconnect: seconds in which a link that was lost is set up anew, to go on with the next
            clip; 0: the stream is over then.
        progress: where to show progress, if that is a terminal.

    Raises:
        UsageError: `url` is no http(s) address.
        StreamError: no connection, or the receiver went away for good.
        GistcastError: whatever the source raises.
    """
    settings, continued = settings or SendSettings(), Continued(source)
    before: SendSummary | None = None
    connect = partial(_connect, url, token, network)
    session = await connect(patience)
    worker = coding_thread()
    try:
        while True:
            sender = Sender(session.whip.link, continued, settings, worker=worker)
            try:
                async with session, progress_line(sender.summary, progress):
                    return _together(before, await sender.run(), session)
            except StreamError as error:
                if not reconnect:
                    raise
                before = _together(before, sender.summary, session)
                session = await _connect_again(connect, reconnect, error)
    finally:
        worker.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class _Session:
    """A session that this side set up, and the network it passes through; hangs up when left."""

    whip: WhipSession
    emulator: Emulator | None

    async def __aenter__(self) -> _Session:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.whip.close()
        if self.emulator is not None:
            self.emulator.close()


async def _connect(
    url: str, token: str | None, network: Network | None, patience: float
) -> _Session:
    emulator = None if network is None else Emulator(network)
    try:
        whip = await whip_connect(url, token=token, patience=patience, emulator=emulator)
    except BaseException:
        if emulator is not None:
            emulator.close()
        raise
    if emulator is not None:
        emulator.connected()
    return _Session(whip, emulator)


async def _connect_again(
    connect: Callable[[float], Awaitable[_Session]], seconds: float, lost: StreamError
) -> _Session:
    """A new session in place of one that was lost.

    Raises:
        StreamError: there was none to be had for so many seconds.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    for wait in waits():
        await asyncio.sleep(min(wait, max(0.0, until - loop.time())))
        try:
            return await connect(0.0)
        except StreamError as error:
            if loop.time() >= until:
                raise StreamError(f"{lost}, and then for {seconds:g} s: {error}") from error
    raise AssertionError("waits() ends")


def _together(before: SendSummary | None, last: SendSummary, session: _Session) -> SendSummary:
    """The summary of all links so far."""
    if session.emulator is not None:
        last.network = session.emulator.summary
    return last if before is None else joined(before, last)


async def receive(
    sink: ClipSink,
    settings: ReceiveSettings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    wait: float | None = None,
    listening: Callable[[str], None] | None = None,
    hold: float = 0.0,
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
        hold: seconds to wait for a sender that was lost to come back and continue its stream; one
            that is silent for 3 s makes room for another.
        started: called with the summary, which then grows, whenever a sender has connected.
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
        if not hold:
            try:
                return await _receive(link, sink, settings, started, progress)
            finally:
                await link.close()
        continuation = Continuation(sink)
        try:
            receiving = partial(_receive, sink=continuation, settings=settings, started=started)
            return await _receive_all(listener, link, partial(receiving, progress=progress), hold)
        finally:
            await asyncio.to_thread(continuation.finish)


async def _until_replaced(
    receiving: Awaitable[ReceiveSummary], link: PeerLink, coming: asyncio.Task[PeerLink]
) -> ReceiveSummary:
    """Receive from a link that is hung up when the next one has come."""

    async def hang_up() -> None:
        await asyncio.wait([coming])
        await link.close()

    hanging = asyncio.create_task(hang_up())
    try:
        return await receiving
    finally:
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
        await link.close()


async def _receive_all(
    listener: WhipListener,
    link: PeerLink,
    receiving: Callable[[PeerLink], Awaitable[ReceiveSummary]],
    hold: float,
) -> ReceiveSummary:
    """One link after the other until the stream has ended, or nobody came for `hold` seconds."""
    total: ReceiveSummary | None = None
    while True:
        coming = asyncio.create_task(listener.accept())
        try:
            summary = await _until_replaced(receiving(link), link, coming)
            total = summary if total is None else joined(total, summary)
        except StreamError:
            if total is None:
                raise  # a stream that never began
        if not total.ended:
            await asyncio.wait([coming], timeout=hold)
        if total.ended or not coming.done():
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
            return total
        link = coming.result()


async def view(
    sink: ClipSink,
    url: str,
    settings: ReceiveSettings | None = None,
    *,
    token: str | None = None,
    patience: float = 0.0,
    network: Network | None = None,
    hold: float = 0.0,
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
        hold: seconds in which a relay that was lost is called again, to go on with its next clip;
            0: the stream is over then.
        started: as of `receive`.
        progress: where to show progress, if that is a terminal.

    Raises:
        UsageError: `url` is no http(s) address.
        StreamError: no connection, no stream, or the relay went away before one began.
        GistcastError: whatever the sink raises, or the relay has another stream by now.
    """
    connect = partial(_connect, url, token, network)
    session = await connect(patience)
    if not hold:
        async with session:
            return await _receive(session.whip.link, sink, settings, started, progress)
    continuation = Continuation(sink)
    settings = settings or ReceiveSettings(silence=_SILENCE)
    total: ReceiveSummary | None = None
    try:
        while True:
            async with session:
                link = session.whip.link
                with _broken_off(total is not None):
                    last = await _receive(link, continuation, settings, started, progress)
                    total = last if total is None else joined(total, last)
            assert total is not None  # else it was raised that nothing began
            if total.ended:
                return total
            try:
                session = await _connect_again(connect, hold, StreamError("the relay is gone"))
            except StreamError:
                return total
    finally:
        await asyncio.to_thread(continuation.finish)


@contextlib.contextmanager
def _broken_off(allowed: bool) -> Iterator[None]:
    """A link that breaks before its stream begins is lost like any other, where `allowed`."""
    try:
        yield
    except StreamError:
        if not allowed:
            raise


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
