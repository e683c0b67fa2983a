"""A folder of your own videos as data that `gistcast train` takes (docs/training.md).

python examples/own_videos.py VIDEOS DATA
gistcast train gist DATA --minutes 20 --export gist.safetensors
gistcast train refiner DATA --minutes 60 --plan 60 --out run

    VIDEOS/dancing/one.mp4 --scale, cut--> DATA/train/00000.mp4, ...   (every twelfth: DATA/val/)
                          --first frame--> DATA/stills/00000.jpg       manifest.json names them all

The folder that a video lies in is its label and its caption; edit the manifest to say more.
"""

import argparse
import json
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av

from gistcast.codec.clip import MAX_FRAMES
from gistcast.codec.media import Frame, VideoInfo, VideoReader, VideoWriter, planes_to_frame, stack

KINDS = {".avi", ".mkv", ".mov", ".mp4", ".webm", ".y4m"}
LEAST, MOST = 32, 256  # frames of a piece


def scaled(path: Path, side: int) -> VideoReader:
    """The video with its shorter side at most `side` samples, both even."""
    with VideoReader(path) as reader:
        width, height = reader.source_size
    share = min(1.0, side / min(width, height))
    return VideoReader(path, size=(int(width * share) // 2 * 2, int(height * share) // 2 * 2))


def cut(frames: Iterator[Frame]) -> Iterator[list[Frame]]:
    """Pieces of up to MOST frames; no shorter ones than a clip of training."""
    while len(piece := list(islice(frames, MOST))) >= LEAST:
        yield piece


def write_piece(path: Path, info: VideoInfo, piece: list[Frame]) -> None:
    """The frames as H.264, visually lossless."""
    writer = VideoWriter(path, info)
    for start in range(0, len(piece), MAX_FRAMES):
        writer.write(stack(piece[start : start + MAX_FRAMES]))
    writer.close()


def write_still(path: Path, frame: Frame) -> None:
    """One frame as a JPEG."""
    picture = planes_to_frame(frame).reformat(format="yuvj420p")
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as out:
        stream = out.add_stream("mjpeg", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuvj420p"
        out.mux(stream.encode(picture))
        out.mux(stream.encode(None))


def prepare(videos: Path, data: Path, side: int = 144) -> list[dict[str, str]]:
    """Write DATA; the rows of its manifest."""
    found = sorted(path for path in videos.rglob("*") if path.suffix.lower() in KINDS)
    for part in ("train", "val", "stills"):
        (data / part).mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, str]] = []
    for number, path in enumerate(found):
        label = path.parent.name if path.parent != videos else ""
        part = "val" if number % 12 == 11 else "train"
        with scaled(path, side) as reader:
            for index, piece in enumerate(cut(iter(reader))):
                name = f"{part}/{len(rows):05d}.mp4"
                write_piece(data / name, reader.info, piece)
                if index == 0 and part == "train":
                    write_still(data / "stills" / f"{len(rows):05d}.jpg", piece[0])
                said = {"label": label, "caption": label.replace("_", " ")}
                rows.append({"file": name, **said, "group": str(path.relative_to(videos))})
    (data / "manifest.json").write_text(json.dumps(rows, indent=1) + "\n")
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path, metavar="VIDEOS")
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--side", type=int, default=144, help="of frames, at most (default 144)")
    args = parser.parse_args()
    pieces = prepare(args.videos, args.data, args.side)
    if not pieces:
        parser.exit(1, f"no video of {LEAST} frames or more in {args.videos}\n")
    print(f"{len(pieces)} pieces; next: gistcast train gist {args.data} --minutes 1 --clips 500")
