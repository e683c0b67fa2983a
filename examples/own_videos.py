"""Stage 1 learns from a folder of your own videos, and codes one of them.

python examples/own_videos.py VIDEOS [--minutes 20] [-o gist.safetensors]

    VIDEOS --scale, cut, draw--> clips --train--> gist.safetensors --encode, decode--> a first look

`gistcast train gist VIDEOS` is the same from the command line, and goes on where it stopped; every
twelfth video is kept for validation. A manifest adds captions: docs/training.md.
"""

import argparse
from pathlib import Path

import gistcast
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.media import load_clip
from gistcast.models.own_videos import list_videos
from gistcast.models.train_gist import GistTraining, export_gist, train_gist


def train(run: GistTraining, minutes: float, weights: Path) -> int:
    """Train, and write the weights; the number of steps done."""
    done = train_gist(run, minutes=minutes)
    export_gist(run, weights)
    return done


def look(video: Path, weights: Path) -> int:
    """Code the first 32 frames as latents alone; how many bytes they take."""
    frames = clip_to_rgb(load_clip(video, size=(64, 64))[0])
    settings = gistcast.EncodeSettings(layers="latent", latent="on")
    coded = gistcast.encode(frames, settings=settings, weights=weights)
    assert gistcast.decode(coded, refine="off", weights=weights).shape == frames.shape
    return len(coded)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "videos", type=Path, metavar="VIDEOS", help="folder, with any folders in it"
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("gist.safetensors"), help="weights"
    )
    parser.add_argument("--minutes", type=float, default=20, help="of training (default 20)")
    parser.add_argument("--clips", type=int, default=2000, help="drawn first (default 2000)")
    args = parser.parse_args()
    work = Path("work")
    run = GistTraining(data=args.videos, cache=work, run=work / "run-gist", grids=args.clips)
    print(f"{train(run, args.minutes, args.output)} steps; weights: {args.output}")
    first = args.videos / list_videos(args.videos, "train")[0]["file"]
    print(f"{first.name}: 32 frames as latents take {look(first, args.output)} bytes")
