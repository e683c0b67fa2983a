"""Results made on the spot: five clips, three codecs, ours in two arms; no engine."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gistcast.eval.summary import summarise

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
METRICS = ("psnr_rgb", "lpips_alex", "motion_error")
CLIPS = ("one.mp4", "two.mp4", "three.mp4", "four <!--<script>.mp4", "five.mp4")
#: (codec, arm, mode) -> gain in dB over the slowest learner, bytes of its smallest payload
CURVES = {
    ("gistcast", "sketch", ""): (6.0, 120),
    ("gistcast", "refined", ""): (5.5, 120),
    ("x264", "full", ""): (3.0, 400),
    ("x264", "half", ""): (3.5, 150),
    ("vp9", "full", ""): (4.0, 500),
    ("vp9", "drop-2-hold", ""): (4.6, 60),
    ("x264", "realtime", "realtime"): (1.0, 600),
    ("mine", "full", ""): (5.0, 300),
    ("mine", "half", ""): (5.2, 130),
}
POINTS = (1.0, 1.6, 2.5, 4.0, 6.5, 10.0)


def row(codec: str, arm: str, mode: str, clip: int, point: int) -> dict[str, Any]:
    """One operating point; every clip and codec is a little different, and smooth."""
    gain, least = CURVES[codec, arm, mode]
    size = round(least * POINTS[point] * (1 + 0.07 * clip))
    psnr = 4 * math.log2(size) - 10 + gain + 0.9 * math.sin(2.1 * clip + gain) - 0.05 * point**2
    return {
        "codec": codec,
        "mode": mode,
        "arm": arm,
        "clip": CLIPS[clip],
        "width": 64,
        "height": 64,
        "frames": 32,
        "point": point,
        "bytes": size,
        "kbps": round(size * 8 / 1.28 / 1000, 4),
        "bpp": round(size * 8 / (64 * 64 * 32), 6),
        "counted": "payload",
        "psnr_rgb": round(psnr, 4),
        "lpips_alex": round(math.exp(-psnr / 9), 5),
        "motion_error": round(1.2 - psnr / 60, 5),
        "encode_seconds": 0.5 + 0.01 * point,
        "decode_seconds": 0.01,
        "layers": {"residual": size - 20, "headers": 20},
    }


@pytest.fixture(scope="session")
def results() -> dict[str, Any]:
    """As `results.json` holds them."""
    rows = [row(*key, clip, p) for key in CURVES for clip in range(5) for p in range(len(POINTS))]
    words = {str(point): f"--crf {50 - point}" for point in range(len(POINTS))}
    codec = {"name": "x264", "mode": "", "counted": "payload packets", "points": words}
    return {
        "settings": {
            "command": "gistcast eval <disc> & more",
            "clips": list(CLIPS),
            "sizes": ["64x64"],
            "metrics": list(METRICS),
            "quick": False,
            "codecs": {"64x64": [codec]},
            "failures": ["nothing <failed>"],
            "versions": {"gistcast": "9.9.9"},
            "machine": "abacus",
        },
        "summary": summarise(rows, METRICS),
        "rows": rows,
    }


@pytest.fixture
def dump_dom(tmp_path: Path) -> Callable[..., str]:
    """A page's elements after its scripts ran in Chromium, without a network.

    (page, ready, fragment="") -> HTML; `ready` must be in it.
    """
    if not CHROMIUM:
        pytest.skip("Chromium is not installed")

    def of(page: str, ready: str, fragment: str = "") -> str:
        path, dom = tmp_path / "page.html", tmp_path / "dom.html"
        path.write_text(page, encoding="utf-8")
        _dump(f"{path.as_uri()}#{fragment}", dom, tmp_path / "profile")
        found = dom.read_text(encoding="utf-8")
        assert ready in found, "the page's scripts did not finish"
        return found

    return of


def _dump(url: str, dom: Path, profile: Path) -> None:
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}",
        "--force-prefers-reduced-motion", "--virtual-time-budget=3000", "--dump-dom", url,
    ]  # fmt: skip
    with dom.open("wb") as out:
        # a session of its own: its children may outlive it, and keep a pipe open for long
        browser = subprocess.Popen(
            command, stdout=out, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            for _ in range(900):
                if browser.poll() is not None or "</html>" in dom.read_text(errors="ignore")[-99:]:
                    break
                time.sleep(0.1)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()
