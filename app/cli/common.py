"""What the commands share: arguments, files that appear whole or not at all, progress, JSON."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from gistcast.codec.errors import UsageError

Item = TypeVar("Item")


def parse_size(text: str) -> tuple[int, int]:
    """`WxH` -> (width, height)."""
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, such as 128x128") from None
    return width, height


def parse_names(text: str) -> tuple[str, ...]:
    """`a, b` -> the names."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_sizes(text: str) -> tuple[tuple[int, int], ...]:
    """`64,128x96` -> (width, height) of each; one number is the side of a square."""
    parts = text.split(",")
    return tuple(parse_size(f"{part}x{part}" if part.isdigit() else part) for part in parts)


def parse_rate(text: str) -> float:
    """`8k`, `1.5M` or plain bits a second."""
    units = {"k": 1e3, "m": 1e6}
    try:
        scale = units.get(text[-1:].lower(), 1.0)
        return float(text[:-1] if scale > 1 else text) * scale
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a bit rate, such as 8k") from None


def parse_fps(text: str) -> Fraction:
    """`25`, `29.97` or `30000/1001` -> frames a second."""
    try:
        rate = Fraction(text).limit_denominator(1001)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a frame rate, such as 25")
    return rate


def add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    examples: str,
) -> argparse.ArgumentParser:
    """A command's parser: a line about it, above; examples, below, as they are typed."""
    return commands.add_parser(
        name,
        help=summary,
        description=f"{summary[:1].upper()}{summary[1:]}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_output(parser: argparse.ArgumentParser, what: str) -> None:
    """-o, -y and --json."""
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help=what)
    parser.add_argument("-y", "--overwrite", action="store_true", help="replace OUT if it exists")
    add_json(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def add_shape(parser: argparse.ArgumentParser, *, frames: str) -> None:
    """--frames and --size of clips that are drawn.

    Args:
        frames: what --frames counts.
    """
    parser.add_argument(
        "--frames", type=int, default=32, metavar="N", help=f"{frames} (default 32)"
    )
    parser.add_argument(
        "--size",
        type=parse_size,
        default=(64, 64),
        metavar="WxH",
        help="of the frames (default 64x64)",
    )


def add_device(parser: argparse._ActionsContainer) -> None:
    """--device."""
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="for the networks"
    )


def add_weights(parser: argparse.ArgumentParser, what: str) -> None:
    """--weights."""
    parser.add_argument("--weights", type=Path, metavar="FILE", help=what)


def check_target(path: str, *, overwrite: bool, json_output: bool = False) -> None:
    """Refuse to overwrite, and refuse media and JSON both on standard output."""
    if path == "-":
        if json_output:
            raise UsageError("--json and media cannot both go to standard output")
    elif Path(path).exists() and not overwrite:
        raise UsageError(f"{path} exists; -y replaces it")


@contextlib.contextmanager
def whole_file(path: str) -> Iterator[str]:
    """A temporary path beside `path`, renamed to it on success and removed on failure."""
    target = Path(path)
    if not target.parent.is_dir():
        raise UsageError(f"no such folder: {target.parent}")
    handle, name = tempfile.mkstemp(
        prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent
    )
    os.close(handle)
    try:
        yield name
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


class _Once(logging.Handler):
    """Prints the first message on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(record.name).removeHandler(self)
        print(f"gistcast: {record.getMessage()}", file=sys.stderr, flush=True)


def tell_of_compiling() -> None:
    """Say on a terminal, once, why the first coding takes so long."""
    kernels = logging.getLogger("gistcast.codec.kernels.compiled")
    if sys.stderr.isatty() and not kernels.handlers:
        kernels.addHandler(_Once())
        kernels.setLevel(logging.INFO)


def read_input(path: str) -> bytes:
    """All bytes of a file, or of standard input for `-`."""
    if path == "-":
        return sys.stdin.buffer.read()
    if not Path(path).is_file():
        raise UsageError(f"no such file: {path}")
    return Path(path).read_bytes()


def progress(items: Iterable[Item], *, what: str, total: int | None = None) -> Iterable[Item]:
    """The items, with a progress bar on standard error if that is a terminal."""
    from tqdm import tqdm

    bar: Iterable[Item] = tqdm(
        items, desc=what, total=total, unit="clip", disable=not sys.stderr.isatty()
    )
    return bar


def report(args: argparse.Namespace, facts: dict[str, Any], line: str) -> None:
    """Print the facts as JSON on stdout if asked, else one line on stderr."""
    if args.json:
        print(json.dumps(facts))
    else:
        print(line, file=sys.stderr)


def rate_facts(size: int, frames: int, width: int, height: int, fps: Fraction) -> dict[str, Any]:
    """bytes, frames, geometry, kbps and bits a pixel of a coded video."""
    seconds = frames / float(fps)
    return {
        "bytes": size,
        "frames": frames,
        "width": width,
        "height": height,
        "fps": float(fps),
        "kbps": round(size * 8 / 1000 / seconds, 4) if seconds else 0.0,
        "bpp": round(size * 8 / (frames * width * height), 6) if frames else 0.0,
    }
