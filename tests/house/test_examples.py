"""The examples run: a file to a browser, a folder of one's own videos, the notebook."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import runpy
import socket
from fractions import Fraction
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from snippets import ROOT

from gistcast.codec.clip import Clip
from gistcast.codec.file import read_gist
from gistcast.codec.media import VideoInfo, VideoWriter
from gistcast.models.train_gist import GistTraining
from gistcast.stream import GistSink, view

EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "quickstart.ipynb"


def _example(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / name))


@pytest.fixture(scope="module")
def video(street: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 frames of 64x64 in a folder `street`."""
    path = tmp_path_factory.mktemp("videos") / "street" / "in.mp4"
    path.parent.mkdir()
    writer = VideoWriter(path, VideoInfo(64, 64, Fraction(25)))
    writer.write(street)
    writer.close()
    return path


async def test_stream_to_browser(video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page is there, and a viewer gets clips that decode."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    streaming = asyncio.create_task(
        _example("stream_to_browser.py")["stream"](video, (32, 32), 12_000, port)
    )
    kept, url = io.BytesIO(), f"http://127.0.0.1:{port}"
    viewing = asyncio.create_task(view(GistSink(kept), f"{url}/whep", patience=30))
    try:
        async with asyncio.timeout(60):
            while not _clips(kept.getvalue()):
                assert not streaming.done() and not viewing.done()
                await asyncio.sleep(0.05)
        async with aiohttp.ClientSession() as session, session.get(f"{url}/") as answer:
            assert answer.status == 200 and "app.js" in await answer.text()
    finally:
        for task in (viewing, streaming):
            task.cancel()
        await asyncio.gather(viewing, streaming, return_exceptions=True)
    assert f"open {url}/" in capsys.readouterr().out
    header = read_gist(kept.getvalue()).header
    assert (header.width, header.height, header.clip_frames) == (32, 32, 16)


def _clips(data: bytes) -> int:
    return len(read_gist(data).clips) if data else 0


def test_own_videos_train_and_code(video: Path, tmp_path: Path) -> None:
    """A folder with one video in a folder, and nothing else."""
    example = _example("own_videos.py")
    run = GistTraining(
        data=video.parent.parent, cache=tmp_path, run=tmp_path / "run", grids=4, steps=2, batch=2
    )
    weights = tmp_path / "gist.safetensors"
    assert example["train"](run, 5, weights) == 2
    assert 20 < example["look"](video, weights) < 200


def test_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cell after cell, without Jupyter; what a cell prints is what is kept in the notebook."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] != "code":
            continue
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), names)
        kept = "".join(line for one in cell["outputs"] for line in one.get("text", ()))
        assert _without_figures(said.getvalue()) == _without_figures(kept)
    assert NOTEBOOK.stat().st_size < 100_000


def _without_figures(text: str) -> str:
    """Figures may differ from machine to machine."""
    return re.sub(r"[\d.]+", "#", text)
