"""WHIP as RFC 9725 has it: what is answered, what is refused, and what is limited."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import pytest

from gistcast.codec.errors import CorruptError, UsageError
from gistcast.stream import StreamError
from gistcast.stream.peer import PeerLink
from gistcast.stream.signalling import (
    MAX_SDP,
    WHIP,
    Access,
    Endpoint,
    HttpServer,
    Peer,
    SessionLimits,
    WhipListener,
    server,
    whip_connect,
)
from gistcast.stream.signalling.guard import RateLimit
from gistcast.stream.signalling.trickle import MAX_CANDIDATES, MEDIA_TYPE, parse_fragment

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": MEDIA_TYPE}


async def until_gone(peer: Peer) -> None:
    assert isinstance(peer, PeerLink)
    await peer.gone()


@asynccontextmanager
async def serving(
    access: Access | None = None, limits: SessionLimits | None = None
) -> AsyncIterator[tuple[Endpoint, str]]:
    """An endpoint for data-channel peers, and its URL."""
    access = access or Access()
    endpoint = Endpoint(WHIP, lambda _: PeerLink(), until_gone, access=access, limits=limits)
    async with HttpServer("127.0.0.1", 0, access, endpoint.routes()) as server:
        yield endpoint, server.url + WHIP
        await endpoint.close()


async def ask(
    method: str, url: str, headers: dict[str, str] | None = None, data: object = None
) -> aiohttp.ClientResponse:
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, url, headers=headers, data=data) as response,
    ):
        await response.read()
        return response


async def status(
    method: str, url: str, headers: dict[str, str] | None = None, data: object = None
) -> int:
    return (await ask(method, url, headers, data)).status


async def test_requests_that_are_refused() -> None:
    async with serving(Access("s")) as (endpoint, url):
        right = {"Authorization": "Bearer s"}
        good = {**SDP, **right}
        assert await status("POST", url, SDP, "v=0") == 401
        assert await status("POST", url, {**SDP, "Authorization": "x"}, "v=0") == 401
        assert await status("POST", url, right, "v=0") == 415
        assert await status("POST", url, good, "v=0") == 400
        assert await status("POST", url, good, b"\xff" * 9) == 400
        assert await status("POST", url, good, b"v" * (MAX_SDP + 1)) == 413
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
            assert await status(method, url, right) == 405
        assert await status("PATCH", url + "/x", right) == 404
        assert await status("DELETE", url + "/x", right) == 404
        assert await status("DELETE", url + "/x") == await status("PATCH", url + "/x") == 401
        assert not len(endpoint)  # nothing is left behind


async def test_one_sender_at_a_time_and_delete_ends_it() -> None:
    async with WhipListener("127.0.0.1", 0) as listener:
        first = await whip_connect(listener.url)
        with pytest.raises(StreamError, match="503"):
            await whip_connect(listener.url)
        assert await status("DELETE", first._location) == 200
        assert await status("DELETE", first._location) == 404
        second = await whip_connect(listener.url)  # the next one gets in
        assert second._location != first._location
        await first.link.close()
        await second.close()


async def test_who_waits_gets_in_when_there_is_room() -> None:
    async with WhipListener("127.0.0.1", 0) as listener:
        first = await whip_connect(listener.url)
        waiting = asyncio.create_task(whip_connect(listener.url, patience=20))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await first.close()
        await (await waiting).close()


async def test_options_say_what_can_be_posted() -> None:
    async with serving() as (_, url):
        answer = await ask("OPTIONS", url)
        assert answer.status == 204
        assert answer.headers["Accept-Post"] == "application/sdp"
        assert answer.headers["Accept-Patch"] == MEDIA_TYPE
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_pages_of_other_sites_are_turned_away_unless_invited() -> None:
    async with serving(Access(origins=frozenset({"https://example.org"}))) as (_, url):
        invited = await ask("OPTIONS", url, {"Origin": "https://example.org"})
        assert invited.headers["Access-Control-Allow-Origin"] == "https://example.org"
        assert "If-Match" in invited.headers["Access-Control-Allow-Headers"]
        assert "Location" in invited.headers["Access-Control-Expose-Headers"]
        assert "PATCH" in invited.headers["Access-Control-Allow-Methods"]
        strange = await ask("OPTIONS", url, {"Origin": "https://example.com"})
        assert strange.status == 403
        assert "Access-Control-Allow-Origin" not in strange.headers
        own = url.removesuffix(WHIP)
        assert await status("OPTIONS", url, {"Origin": own}) == 204


async def test_a_name_that_was_bent_to_the_loopback_gets_nowhere() -> None:
    async with serving() as (_, url):
        assert await status("POST", url, {**SDP, "Host": "evil.example"}, "v=0") == 421
        assert await status("OPTIONS", url, {"Host": "localhost:1"}) == 204
    async with serving(Access(loopback=False)) as (_, url):
        assert await status("OPTIONS", url, {"Host": "media.example"}) == 204


def test_origins_are_origins() -> None:
    for wrong in ("example.org", "https://example.org/", "ftp://example.org", ""):
        with pytest.raises(UsageError):
            Access(origins=frozenset({wrong}))


async def test_sessions_that_do_not_connect_are_limited_and_forgotten() -> None:
    limits = SessionLimits(pending=2, connect_seconds=1.0)
    async with serving(limits=limits) as (endpoint, url):
        links = [PeerLink() for _ in range(3)]
        offers = [await link.offer() for link in links]
        answers = [await ask("POST", url, SDP, offer) for offer in offers]
        assert [answer.status for answer in answers] == [201, 201, 503]
        assert answers[2].headers["Retry-After"].isdecimal()
        assert answers[0].headers["Location"] != answers[1].headers["Location"]
        while len(endpoint):
            await asyncio.sleep(0.05)
        assert await status("DELETE", url + "/" + answers[0].headers["Location"][6:]) == 404
        for link in links:
            await link.close()


async def offered(url: str, offer: str, address: str = "127.0.0.1") -> int:
    """The answer's status to an offer that comes from a loopback address."""
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.post(url, data=offer, headers=SDP) as response,
    ):
        return response.status


async def test_who_floods_leaves_room_for_others() -> None:
    async with serving(limits=SessionLimits(pending=6)) as (endpoint, url):
        link = PeerLink()
        offer = await link.offer()
        flood = [await offered(url, offer, f"127.0.0.{2 + n % 2}") for n in range(10)]
        assert flood == [201] * 6 + [503] * 4  # three places each
        assert [await offered(url, offer) for _ in range(4)] == [201, 201, 503, 503]
        assert len(endpoint) == 6  # two places each, and nobody gains by asking again
        again = [await offered(url, offer, f"127.0.0.{2 + n % 2}") for n in range(4)]
        assert again == [503] * 4
        await link.close()


async def test_a_viewer_connects_while_the_places_are_flooded() -> None:
    async with serving(limits=SessionLimits(pending=4)) as (endpoint, url):
        idle = PeerLink()
        offer = await idle.offer()
        assert [await offered(url, offer, "127.0.0.2") for _ in range(5)] == [201] * 4 + [503]
        session = await whip_connect(url)
        assert sum(one.open for one in endpoint._sessions.values()) == 1
        await session.close()
        await idle.close()


async def test_places_that_others_wait_for_are_held_for_less_long() -> None:
    limits = SessionLimits(pending=2, pressed_seconds=0.5)
    async with serving(limits=limits) as (endpoint, url):
        link = PeerLink()
        offer = await link.offer()
        addresses = [f"127.0.0.{n}" for n in (2, 3, 4)]
        first = [await offered(url, offer, address) for address in addresses]
        assert first == [201, 201, 503]
        await asyncio.sleep(0.6)
        assert len(endpoint) == 2  # nobody asked for them
        assert await offered(url, offer, "127.0.0.4") == 201
        assert len(endpoint) == 2
        assert "127.0.0.4" in [one.address for one in endpoint._sessions.values()]
        await link.close()


async def test_too_many_offers_from_one_address() -> None:
    async with serving(limits=SessionLimits(per_second=0.001, burst=2)) as (_, url):
        answers = [await status("POST", url, SDP, "v=0") for _ in range(3)]
        assert answers == [400, 400, 429]


def test_rate_limit_refills_and_forgets() -> None:
    now = 0.0
    limit = RateLimit(2.0, 2, clock=lambda: now)
    assert [limit.allows("a") for _ in range(3)] == [True, True, False]
    assert limit.allows("b")
    now = 0.5
    assert [limit.allows("a") for _ in range(2)] == [True, False]
    for number in range(5000):
        limit.allows(str(number))
    assert len(limit._buckets) <= 1024


async def test_candidates_may_come_later() -> None:
    async with serving() as (_, url):
        link = PeerLink()
        offer = await link.offer()
        lines = offer.splitlines()
        late = [line for line in lines if line.startswith(("a=candidate", "a=end-of"))]
        ufrag = next(line for line in lines if line.startswith("a=ice-ufrag"))
        early = "\r\n".join(line for line in lines if line not in late) + "\r\n"
        answer = await ask("POST", url, SDP, early)
        assert answer.status == 201
        where = url.removesuffix(WHIP) + answer.headers["Location"]
        match = {**FRAGMENT, "If-Match": answer.headers["ETag"]}
        mid = next(line for line in lines if line.startswith("a=mid"))
        fragment = "\r\n".join([ufrag, "m=application 9 UDP 0", mid, *late, ""])
        assert await status("PATCH", where, SDP, fragment) == 415
        assert await status("PATCH", where, FRAGMENT, fragment) == 428
        assert await status("PATCH", where, {**FRAGMENT, "If-Match": '"no"'}, fragment) == 412
        assert await status("PATCH", where, match, "a=ice-ufrag:else\r\n") == 422
        assert await status("PATCH", where, match, "nothing") == 400
        assert await status("PATCH", where, match, f"{ufrag}\r\n{mid}\r\na=candidate:1 x") == 400
        assert await status("PATCH", where, match, fragment) == 204
        assert await status("PATCH", where, match, fragment) == 204  # again does no harm
        assert await status("DELETE", where) == 200
        await link.close()


async def test_candidates_that_came_later_connect() -> None:
    """The answerer cannot call first, so that only late candidates let it."""
    opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def serve(peer: Peer) -> None:
        opened.set_result(None)
        await until_gone(peer)

    endpoint = Endpoint(WHIP, lambda _: PeerLink(), serve, access=Access())
    async with HttpServer("127.0.0.1", 0, Access(), endpoint.routes()) as server:
        link = PeerLink()
        lines = (await link.offer()).splitlines()
        late = [line for line in lines if line.startswith(("a=candidate", "a=end-of"))]
        early = "\r\n".join(line for line in lines if line not in late) + "\r\n"
        async with (
            aiohttp.ClientSession(server.url) as http,
            http.post(WHIP, data=early, headers=SDP) as response,
        ):
            where, etag = response.headers["Location"], response.headers["ETag"]
            answer = await response.text()
        assert not opened.done()
        known = [line for line in lines if line.startswith(("a=ice-ufrag", "a=mid"))]
        match = {**FRAGMENT, "If-Match": etag}
        assert await status("PATCH", server.url + where, match, "\n".join(known + late)) == 204
        await link.accept_answer(answer)
        await link.opened(20)
        await asyncio.wait_for(opened, 20)
        await link.close()
        await endpoint.close()


def test_fragments_that_are_none() -> None:
    with pytest.raises(CorruptError):
        parse_fragment("a=mid:0\n")
    with pytest.raises(CorruptError):
        parse_fragment("a=ice-ufrag:x\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\n")
    flood = "a=ice-ufrag:x\na=mid:0\n" + "a=candidate:1\n" * (MAX_CANDIDATES + 1)
    with pytest.raises(CorruptError):
        parse_fragment(flood)


async def test_who_never_ends_a_header_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(server, "_LOOK_SECONDS", 0.05)
    async with serving() as (_, url):
        port = urlsplit(url).port
        silent, slow, rested = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        rested[1].write(b"OPTIONS /whip HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert (await rested[0].readline()).startswith(b"HTTP/1.1 204")
        begun = asyncio.get_running_loop().time()
        slow[1].write(b"POST /whip HTTP/1.1\r\n")

        async def drip() -> None:
            while True:
                slow[1].write(b"X-More: of it\r\n")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        async with asyncio.timeout(10):
            for reader, _ in (silent, slow, rested):
                with contextlib.suppress(ConnectionError):
                    while await reader.read(1000):
                        pass
        assert asyncio.get_running_loop().time() - begun < 5
        dripping.cancel()
        for _, writer in (silent, slow, rested):
            writer.close()
        assert (await ask("OPTIONS", url)).status == 204


async def test_a_request_may_take_longer_than_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(server, "_LOOK_SECONDS", 0.05)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield b"v=0"
            await asyncio.sleep(0.1)

    async with serving() as (_, url):
        assert (await ask("POST", url, SDP, body())).status == 400


async def test_connections_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
    async with serving() as (_, url):
        port = urlsplit(url).port
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        await asyncio.sleep(0.1)
        ended = 0
        for reader, _ in held:
            try:
                async with asyncio.timeout(0.1):
                    ended += await reader.read(1) == b""
            except TimeoutError:
                pass
            except ConnectionError:
                ended += 1
        assert ended == 2
        for _, writer in held:
            writer.close()
        await asyncio.sleep(0.1)
        assert (await ask("OPTIONS", url)).status == 204


async def test_headers_are_limited() -> None:
    async with serving() as (_, url):
        assert (await ask("OPTIONS", url, {"X": "x" * 9000})).status == 400
        assert (await ask("OPTIONS", url, {f"X-{n}": "x" for n in range(80)})).status == 400
