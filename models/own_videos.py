"""A folder of videos to learn from, as it is: no manifest, any size, any length.

FOLDER/**/*.mp4 --every twelfth--> validation
               '--the rest--scaled, cut--> recordings of 32 to 256 frames for a `FrameStore`
                                      '--first frames--> stills
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from gistcast.codec.clip import Plane
from gistcast.codec.errors import CorruptError
from gistcast.codec.media import VideoReader

KINDS = {".avi", ".mkv", ".mov", ".mp4", ".webm", ".y4m"}
SIDE = 144  #: luma samples of the shorter side of what is kept, at most
LEAST, MOST = 32, 256  #: frames of a recording
EVERY = 12  #: one video in so many is for validation


def is_plain(data: Path) -> bool:
    """Whether a folder has neither a manifest nor what a manifest would be about."""
    return not (data / "manifest.json").is_file() and not (data / "train").is_dir()


def list_videos(data: Path, part: str) -> list[dict[str, str]]:
    """The videos of a part, as rows of a manifest would have them; nothing is known of them.

    Args:
        part: `train`, `val` or `stills`; these are the videos of `train`, too.
    """
    found = sorted(path for path in data.rglob("*") if path.suffix.lower() in KINDS)
    chosen = [path for n, path in enumerate(found) if (n % EVERY == EVERY - 1) == (part == "val")]
    return [
        {"file": str(path.relative_to(data)), "label": "", "caption": "", "group": path.stem}
        for path in chosen
    ]


def read_recordings(path: Path, part: str) -> Iterator[list[Plane]]:
    """Planes (T, H, W) of a video, piece by piece: its frames, or for `stills` their first ones.

    What is left at its end and shorter than a clip of training is left out.

    Raises:
        CorruptError: it cannot be read as video.
    """
    with VideoReader(path) as reader:
        width, height = reader.source_size
    share = min(1.0, SIDE / max(1, min(width, height)))
    size = (max(2, int(width * share) // 2 * 2), max(2, int(height * share) // 2 * 2))
    try:
        with VideoReader(path, size=size) as reader:
            frames = iter(reader)
            while len(piece := list(islice(frames, MOST))) >= LEAST:
                kept = piece[:1] if part == "stills" else piece
                yield [np.stack([frame[plane] for frame in kept]) for plane in range(3)]
    except CorruptError as error:
        raise CorruptError(f"{path}: {error}") from error
