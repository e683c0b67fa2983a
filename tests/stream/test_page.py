"""The page: what it is served, and how it does in a real browser."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import ModuleType

import aiohttp
import numpy as np
import pytest
from aiortc.mediastreams import VideoStreamTrack

from gistcast.codec.decoder import Decoder
from gistcast.codec.errors import UsageError
from gistcast.codec.file import decode_video, read_gist
from gistcast.serving import Service, ServiceSettings
from gistcast.stream import GistSource, SendSettings, SourceClip, receive, send
from gistcast.stream.connection import Connection
from gistcast.stream.signalling import WHEP, WHIP
from gistcast.stream.web import Choice, Controls, History, Slider, Timeline, VideoPeer
from gistcast.watching import Watching

GOLDEN = Path(__file__).parent.parent / "golden" / "v2"
SDP = {"Content-Type": "application/sdp"}


def browser_module() -> ModuleType:
    """`browser.py` beside this file: test files are imported on their own."""
    spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["browser"] = module
    spec.loader.exec_module(module)
    return module


browser = browser_module()


def test_controls_take_only_what_they_offer() -> None:
    got: list[object] = []

    def refuse(value: float) -> None:
        raise UsageError("not yet")

    controls = Controls(
        Slider("n", "Number", 0, 4, 1, 2, got.append),
        Slider("r", "Refuses", 0, 4, 1, 2, refuse),
        Choice("c", "Choice", ("a", "b"), "a", got.append),
    )
    controls.set("n", 3)
    controls.set("c", "b")
    assert got == [3.0, "b"] and controls.values == {"n": 3.0, "r": 2, "c": "b"}
    wrong = [("n", 5), ("n", -1), ("n", True), ("n", "3"), ("n", float("nan")), ("c", "z")]
    for name, value in [*wrong, ("c", 1), ("x", 1), (None, 1), ([], 1), ("r", 1)]:
        with pytest.raises(UsageError):
            controls.set(name, value)
    assert got == [3.0, "b"] and controls.values["r"] == 2


async def test_history_tells_what_was_and_what_is_new() -> None:
    history = History()
    history.add({"number": 0})
    news = history.follow(0.01)
    assert await anext(news) == [{"number": 0}]
    assert history.watching == 1
    assert await anext(news) == []
    history.add({"number": 1})
    history.add({"number": 2})
    assert await anext(news) == [{"number": 1}, {"number": 2}]
    for number in range(1000):  # more than it keeps
        history.add({"number": number})
    assert (await anext(news))[-1] == {"number": 999}
    await news.aclose()
    assert history.watching == 0


async def test_timeline_plays_clips_end_to_end() -> None:
    timeline = Timeline(delay=10.0)
    now = asyncio.get_running_loop().time()
    assert timeline.frame("a", now) is None and timeline.next_change(now) is None
    for base in (0, 4):
        frames = np.arange(base, base + 4, dtype=np.uint8)[:, None, None, None] + np.zeros(
            (4, 2, 2, 3), np.uint8
        )
        timeline.add({"a": frames}, 1.0)
    begin = timeline._segments[0].begin
    assert 9 < begin - now < 11
    shown = [int(timeline.frame("a", begin + t)[0, 0, 0]) for t in (-1, 0.1, 0.3, 0.9, 1.1, 1.9, 9)]
    assert shown == [0, 0, 1, 3, 4, 7, 7]
    assert timeline.next_change(begin + 0.3) == pytest.approx(begin + 0.5)
    assert timeline.frame("b", begin) is None
    assert timeline.stalls == 0 and timeline.ahead > 10


async def test_a_clip_that_comes_late_is_a_stall() -> None:
    timeline = Timeline(delay=0.0)
    frames = np.zeros((2, 2, 2, 3), np.uint8)
    timeline.add({"a": frames}, 0.01)
    await asyncio.sleep(0.03)
    timeline.add({"a": frames}, 0.01)
    assert timeline.stalls == 1


@pytest.fixture(scope="module")
def coded() -> bytes:
    """Two clips of 8 frames, 64x64, with four residual layers each."""
    data = (GOLDEN / "layers-64.gist").read_bytes()
    list(decode_video(data))  # kernels are compiled here, not while a browser waits
    return data


@asynccontextmanager
async def serving(**settings: object) -> AsyncIterator[Service]:
    """A service that decodes without networks, so that no test waits for torch."""
    modes: list[str] = []

    def decoder(header: bytes, mode: str) -> Decoder:
        modes.append(mode)
        return Decoder(header)

    service = Service(ServiceSettings(port=0, **settings), decoder)
    service.modes = modes
    async with service:
        yield service


class Endless:
    """A coded file over and over, as one stream."""

    first = 0

    def __init__(self, coded: bytes) -> None:
        self._file = read_gist(coded)
        self.header = self._file.header_bytes

    def __iter__(self) -> Iterator[SourceClip]:
        for number in count():
            packets = self._file.clips[number % len(self._file.clips)].packets
            numbered = [replace(packet, clip=number) for packet in packets]
            yield SourceClip(8, 8 / 25, lambda _, numbered=numbered: numbered)


@asynccontextmanager
async def streaming(service: Service, coded: bytes) -> AsyncIterator[None]:
    """A sender that never ends."""
    task = asyncio.create_task(send(Endless(coded), service.url + WHIP, SendSettings()))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_is_served_and_what_is_not() -> None:
    async with serving(viewer_token="s") as service, aiohttp.ClientSession(service.url) as http:
        right = {"Authorization": "Bearer s"}
        for path in ("/", "/static/app.js", "/static/plots.js", "/static/style.css"):
            async with http.get(path) as response:
                assert response.status == 200
                assert "default-src 'self'" in response.headers["Content-Security-Policy"]
                assert "://" not in (await response.text()).replace("http://www.w3.org", "")
        async with http.post(WHEP, data="v=0", headers=SDP) as response:
            assert response.status == 401
        for path in ("/static/page.py", "/static/..%2fpage.py", "/etc/passwd"):
            async with http.get(path) as response:
                assert response.status == 404
        async with http.get("/api/live") as response:
            assert response.status == 401
        wanted = {"name": "layers", "value": 1}
        async with http.post("/api/control", json=wanted) as response:
            assert response.status == 401
        async with http.post("/api/control", data="{}", headers=right) as response:
            assert response.status == 415
        for bad in ([], {}, {"name": "layers"}, {"name": "layers", "value": 99}, {"name": "?"}):
            async with http.post("/api/control", json=bad, headers=right) as response:
                assert response.status == 400
        async with http.post("/api/control", json=["x" * 2000], headers=right) as response:
            assert response.status == 413
        foreign = {**right, "Origin": "https://example.org"}
        async with http.post("/api/control", json=wanted, headers=foreign) as response:
            assert response.status == 403
        async with http.post("/api/control", json=wanted, headers=right) as response:
            assert response.status == 204


async def test_pages_that_watch_are_limited() -> None:
    async with serving() as service:
        peers = [service._watchers.add() for _ in range(8)]
        with pytest.raises(Exception, match="too many"):
            service._watchers.add()
        await peers[0].close()
        assert isinstance(service._watchers.add(), VideoPeer)
        for peer in service._watchers:
            await peer.close()


async def test_a_page_that_sends_video_is_not_decoded() -> None:
    async with serving() as service:
        there, peer = Connection(), service._watchers.add()
        there.rtc.addTrack(VideoStreamTrack())  # offers to send and to receive
        try:
            await there.take(await peer.answer(await there.offer()), "answer")
            assert [one.currentDirection for one in there.rtc.getTransceivers()] == ["recvonly"]
        finally:
            await there.close()
            await peer.close()


PLAYS = """(() => {
  const video = document.querySelector("video");
  if (!video || video.readyState < 2 || !video.videoWidth) return false;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const pen = canvas.getContext("2d");
  pen.drawImage(video, 0, 0);
  const data = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  let low = 255, high = 0;
  for (let i = 0; i < data.length; i += 4) {
    low = Math.min(low, data[i]); high = Math.max(high, data[i]);
  }
  return high - low > 100 && video.getVideoPlaybackQuality().totalVideoFrames;
})()"""
MOVE = """((name, value) => {
  const input = document.getElementById("c-" + name);
  input.value = value;
  for (const kind of ["input", "change"]) input.dispatchEvent(new Event(kind));
})"""


@asynccontextmanager
async def watching() -> AsyncIterator[tuple[Watching, list[str]]]:
    """A receiver's page, and the modes that it opened streams in."""
    modes: list[str] = []

    def decoder(header: bytes, mode: str) -> Decoder:
        modes.append(mode)
        return Decoder(header)

    async with Watching("127.0.0.1", 0, decoder, token="s") as page:
        yield page, modes


async def test_a_receivers_page_asks_for_its_token_and_tells_what_came(coded: bytes) -> None:
    right = {"Authorization": "Bearer s"}
    async with watching() as (page, _), aiohttp.ClientSession(page.url) as http:
        async with http.post(WHEP, data="v=0", headers=SDP) as response:
            assert response.status == 401
        async with http.get("/api/live") as response:
            assert response.status == 401
        url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        receiving = asyncio.create_task(
            receive(page.player, listening=url.set_result, started=page.receiving, progress=None)
        )
        assert not page._state()["live"]
        sending = asyncio.create_task(send(GistSource(coded), await url, progress=None))
        async with http.get("/api/live", headers=right) as response:
            hello = json.loads(await response.content.readline())
            assert [view["name"] for view in hello["views"]] == ["gistcast"]
            assert [control["name"] for control in hello["controls"]] == ["refine"]
            numbers: list[int] = []
            while len(numbers) < 2:
                news = json.loads(await response.content.readline())
                numbers += [clip["number"] for clip in news["clips"]]
            assert numbers == [0, 1]
        summary = await receiving
        await sending
        assert summary.ended and page._state()["whole"] == 2
        begun = asyncio.get_running_loop().time()
        await page.played_out()
        assert not page._timeline.ahead
        assert asyncio.get_running_loop().time() - begun < 5


@pytest.mark.skipif(browser.chromium() is None, reason="no Chromium")
async def test_a_receiver_in_a_browser(coded: bytes, tmp_path: Path) -> None:
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with watching() as (page, modes), browser.browsing(tmp_path) as tab:
        receiving = asyncio.create_task(
            receive(page.player, listening=url.set_result, started=page.receiving, progress=None)
        )
        sending = asyncio.create_task(send(Endless(coded), await url, progress=None))
        await tab.open(page.url + "/#token=s")
        frames = await tab.until(PLAYS)
        await tab.until(f"{PLAYS} > {frames + 10}")
        await tab.until("document.getElementById('status').dataset.state == 'live'")
        assert await tab.ask("document.querySelectorAll('video').length") == 1  # no source
        assert await tab.ask("document.getElementById('p-psnr').offsetParent === null")
        assert await tab.ask("document.getElementById('p-rate').offsetParent !== null")
        await tab.until("document.getElementById('n-kbps').textContent.includes('kbit/s')")
        await tab.until("document.getElementById('n-viewers').textContent == '1'")
        await tab.ask("document.querySelector('#c-refine input[value=off]').click()")
        async with asyncio.timeout(20):
            while modes[-1] != "off":
                await asyncio.sleep(0.05)
        assert not [line for line in tab.log if "exception" in line.lower()]
        for task in (sending, receiving):
            task.cancel()
        await asyncio.gather(sending, receiving, return_exceptions=True)


@pytest.mark.skipif(browser.chromium() is None, reason="no Chromium")
async def test_in_a_browser(coded: bytes, tmp_path: Path) -> None:
    async with (
        serving(viewer_token="s") as service,
        streaming(service, coded),
        browser.browsing(tmp_path) as tab,
    ):
        await tab.open(service.url + "/#token=s")
        frames = await tab.until(PLAYS)
        await tab.until(f"{PLAYS} > {frames + 10}")
        await tab.until("document.getElementById('status').dataset.state == 'live'")
        for plot in ("p-rate", "p-delay", "p-state"):
            picture = f"document.getElementById('{plot}').toDataURL()"
            first = await tab.ask(picture)
            await tab.until(f"{picture} != {first!r}")
        await tab.until("document.getElementById('n-kbps').textContent.includes('kbit/s')")

        def layers() -> int:
            return len(service._history._records[-1]["layers"])

        assert layers() > 1
        await tab.ask(f"{MOVE}('layers', 1)")
        async with asyncio.timeout(20):
            while layers() > 1:
                await asyncio.sleep(0.05)
        assert service._feed.settings.layers == 1
        await tab.ask(f"{MOVE}('rate', 8)")
        await tab.ask("document.querySelector('#c-refine input[value=off]').click()")
        async with asyncio.timeout(20):
            while service._feed.settings.rate != 8000 or service.modes[-1] != "off":
                await asyncio.sleep(0.05)
        assert not [line for line in tab.log if "exception" in line.lower()]
