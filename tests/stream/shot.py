"""A picture of a page that shows video: `python tests/stream/shot.py URL OUT.png [--seconds 25]`.

Opens it in a headless Chromium, waits until the first video moves and `--seconds` more, so that
the plots have something to show.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from browser import browsing

_MOVES = "[...document.querySelectorAll('video')].some(v => v.videoWidth > 0 && v.currentTime > 0)"


async def shoot(url: str, out: Path, seconds: float, height: int) -> None:
    """Open, wait, save."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with browsing(Path(folder)) as tab:
            await tab.open(url, height=height)
            await tab.until(_MOVES, 120)
            await asyncio.sleep(seconds)
            await tab.screenshot(out)


def main() -> None:
    """Take it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=25.0)
    parser.add_argument("--height", type=int, default=900)
    args = parser.parse_args()
    asyncio.run(shoot(args.url, args.out, args.seconds, args.height))


if __name__ == "__main__":
    main()
