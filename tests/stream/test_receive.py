"""`gistcast receive`: what it insists on, and what it does not draw for a stranger."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from gistcast.cli import main
from gistcast.cli.streaming import PEER_PIXELS, make_decoder
from gistcast.codec.errors import LimitError
from gistcast.codec.header import parse_header
from gistcast.stream import GistSource, StreamError, send

CODED = Path(__file__).parent.parent / "golden" / "v2" / "layers-64.gist"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


async def received(target: Path, *options: str) -> int:
    """The exit status of a receiver that the coded file is sent to."""
    where = f"127.0.0.1:{free_port()}"
    command = ["receive", "-o", str(target), "--listen", where, "--refine", "off", *options]
    running = asyncio.create_task(asyncio.to_thread(main, command))
    source = GistSource(CODED.read_bytes())
    with contextlib.suppress(StreamError):  # it hung up
        await send(source, f"http://{where}/whip", patience=20, progress=None)
    return await running


# the sender's last request may meet a server whose loop is closing
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_frames_larger_than_the_limit_are_refused_before_they_are_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.y4m"
    assert await received(target, "--max-pixels", "4095") != 0
    assert "4095 pixels" in capsys.readouterr().err and not target.exists()
    assert await received(target, "--max-pixels", "4096") == 0  # 64x64
    assert target.stat().st_size > 16 * 64 * 64


def test_a_peer_gets_less_drawn_than_a_file() -> None:
    header = parse_header(CODED.read_bytes())[0]
    wide = type(header)(
        1280, 720, header.fps, header.clip_frames, header.seed, header.model_id, header.weights
    ).to_bytes()
    assert make_decoder(refine="off", device="cpu")(wide).header.width == 1280
    with pytest.raises(LimitError):
        make_decoder(refine="off", device="cpu", max_pixels=PEER_PIXELS)(wide)


def test_it_is_told_where_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["receive"]) == 2
    assert "--web" in capsys.readouterr().err
