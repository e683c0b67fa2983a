"""The examples run: a file to a browser, a folder of one's own videos, the notebook."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import runpy
import shutil
import socket
from fractions import Fraction
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from snippets import ROOT

import gistcast
from gistcast.cli import main
from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.file import read_gist
from gistcast.codec.media import VideoInfo, VideoReader, VideoWriter
from gistcast.models.data import ClipSampler, build_store, validation_clips
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


@pytest.fixture(scope="module")
def data(video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve videos, prepared: eleven of a clip, the first of 105 frames."""
    folder = tmp_path_factory.mktemp("data")
    shutil.copy(ROOT / "app" / "assets" / "street.mp4", video.with_name("00.mp4"))
    for number in range(1, 11):
        shutil.copy(video, video.with_name(f"{number:02d}.mp4"))
    rows = _example("own_videos.py")["prepare"](video.parent.parent, folder, side=48)
    assert len(rows) == 12
    return folder


def test_own_videos_become_training_data(data: Path, tmp_path: Path) -> None:
    rows = json.loads((data / "manifest.json").read_text())
    assert [row["file"].split("/")[0] for row in rows].count("val") == 1
    assert {row["caption"] for row in rows} == {"street"}
    store = build_store(data, "train", tmp_path / "train")
    assert max(source.frames for source in store.sources) == 105
    sample = ClipSampler(store, size=32).sample(np.random.default_rng(1))
    assert sample.clip.y.shape == (32, 32, 32) and sample.label == "street"
    assert len(validation_clips(data)) == 1
    with VideoReader(next((data / "stills").glob("*.jpg"))) as reader:
        assert reader.source_size == (48, 48) and len(list(reader)) == 1


def test_training_on_own_videos_makes_weights_that_code(
    data: Path, street: Clip, tmp_path: Path
) -> None:
    weights = tmp_path / "gist.safetensors"
    told = ["--clips", "4", "--steps", "2", "--batch", "2", "--work", str(tmp_path / "work")]
    assert main(["train", "gist", str(data), *told, "--export", str(weights)]) == 0
    settings = gistcast.EncodeSettings(layers="latent")
    coded = gistcast.encode(clip_to_rgb(street), settings=settings, weights=weights)
    drawn = gistcast.decode(coded, refine="off", weights=weights)
    assert drawn.shape == (32, 64, 64, 3)


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
