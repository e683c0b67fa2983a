"""Compiled kernels on disk: two processes at once, nowhere to write, files that are cut short; and
kernels that are not compiled at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gistcast
from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.file import decode_video
from gistcast.codec.media import VideoReader, stack

_SCRIPT = """
import numpy as np
from gistcast.codec.rangecoder import FlagDecoder
source = FlagDecoder(bytes(range(40, 60)))
flags = [source.flag(at) for at in (30000, 2000, 65535)]
flags += source.get(np.arange(1000, 60000, 1000)).tolist()
print("".join(map(str, flags)))
"""


def _start(cache: Path | str, **others: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), **others}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _SCRIPT],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _output(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def _files(cache: Path) -> dict[str, int]:
    """Compiled functions and when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in cache.rglob("*.nbc")}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("numba")


def test_two_processes_on_a_cold_cache(cache: Path) -> None:
    both = [_start(cache), _start(cache)]
    first, second = (_output(process) for process in both)
    assert first == second and set(first.strip()) == {"0", "1"}
    files = _files(cache)
    assert {name.split("_")[1] for name in files} >= {"flag", "flags"}
    assert _output(_start(cache)) == first
    assert _files(cache) == files  # the third compiled nothing


def test_files_that_are_cut_short_are_made_anew(cache: Path) -> None:
    expected = _output(_start(cache))
    for path in cache.rglob("*.nb[ic]"):
        path.write_bytes(path.read_bytes()[:100])
    assert _output(_start(cache)) == expected


def test_without_a_folder_to_write_to(tmp_path: Path) -> None:
    """A read-only installation and no home: nothing is kept, everything works."""
    nowhere = tmp_path / "file"
    nowhere.write_bytes(b"")  # no folder can be made below it, not even by root
    only = {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"}  # not beside the source
    assert set(_output(_start(nowhere, **only)).strip()) == {"0", "1"}


def test_plain_python_reads_the_same(street: Clip, tmp_path: Path) -> None:
    """NUMBA_DISABLE_JIT=1: slow, so two frames of 16x16."""
    coded, drawn = tmp_path / "in.gist", tmp_path / "out.y4m"
    frames = clip_to_rgb(street)[:2, 16:32, 16:32]
    coded.write_bytes(gistcast.encode(frames, fps=25, quality=30))
    command = [sys.executable, "-W", "error", "-m", "gistcast", "decode", "--refine", "off"]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([*command, str(coded), "-o", str(drawn)], env=environment, check=True)
    with VideoReader(drawn) as reader:
        planes = stack(list(reader)).planes
    (expected,) = decode_video(coded.read_bytes())
    assert all(map(np.array_equal, planes, expected.clip.planes))
