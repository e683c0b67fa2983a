"""A headless Chromium over the DevTools protocol: enough to open a page and to ask it things."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--disable-dev-shm-usage", "--mute-audio",
    "--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0",
)  # fmt: skip


def chromium() -> str | None:
    """The browser's program, if it is installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Tab:
    """The browser's one tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.log: list[str] = []  #: what the page wrote to its console
        self._socket, self._number = socket, 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def read(self) -> None:
        async for message in self._socket:
            news = message.json()
            if news.get("id") in self._answers:
                self._answers.pop(news["id"]).set_result(news)
            elif news.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                self.log.append(str(news["params"]))

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        self._number += 1
        answer = asyncio.get_running_loop().create_future()
        self._answers[self._number] = answer
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        async with asyncio.timeout(30):
            news = await answer
        assert "error" not in news, news
        result: dict[str, Any] = news["result"]
        return result

    async def ask(self, script: str) -> Any:
        """The value of an expression, awaited if it is a promise."""
        result = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, script: str, seconds: float = 60.0) -> Any:
        """Wait until an expression is true."""
        try:
            async with asyncio.timeout(seconds):
                while not (value := await self.ask(script)):
                    await asyncio.sleep(0.05)
                return value
        except TimeoutError:
            raise AssertionError(f"never: {script}; console: {self.log}") from None

    async def open(self, url: str, width: int = 1320, height: int = 900) -> None:
        for domain in ("Runtime", "Page"):
            await self.call(f"{domain}.enable")
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        await self.call("Page.navigate", url=url)

    async def screenshot(self, path: Path) -> None:
        """The whole page, as PNG."""
        shot = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextlib.asynccontextmanager
async def browsing(folder: Path) -> AsyncIterator[Tab]:
    """A browser with an empty profile in `folder`."""
    program = chromium()
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        program, *FLAGS, f"--user-data-dir={folder}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with aiohttp.ClientSession() as http:
            url = await _debugger(http, folder / "DevToolsActivePort")
            async with http.ws_connect(url, max_msg_size=64 << 20) as socket:
                tab = Tab(socket)
                reading = asyncio.create_task(tab.read())
                try:
                    yield tab
                finally:
                    with contextlib.suppress(Exception):
                        await tab.call("Browser.close")
                    reading.cancel()
                    await asyncio.gather(reading, return_exceptions=True)
    finally:
        if process.returncode is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _debugger(http: aiohttp.ClientSession, port_file: Path) -> str:
    """The address of the tab's debugger."""
    async with asyncio.timeout(60):
        while True:
            await asyncio.sleep(0.05)
            if not port_file.exists() or not (lines := port_file.read_text().split()):
                continue
            async with http.get(f"http://127.0.0.1:{lines[0]}/json") as response:
                for tab in await response.json():
                    if tab["type"] == "page":
                        return str(tab["webSocketDebuggerUrl"])
