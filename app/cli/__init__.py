"""The command line: one module a command, each with `add(subparsers)` and a `run(args)`.

Media on standard output, all else on standard error; exit 0 ok, 1 failed, 2 usage, 3 corrupt.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from gistcast.cli import (
    bench,
    decode,
    demo,
    encode,
    evaluate,
    generate,
    info,
    scenes,
    serve,
    streameval,
    streaming,
    train,
)
from gistcast.codec.errors import CorruptError, GistcastError, UsageError

COMMANDS = (
    encode,
    decode,
    info,
    generate,
    scenes,
    evaluate,
    streameval,
    streaming,
    serve,
    train,
    bench,
    demo,
)


def build_parser() -> argparse.ArgumentParser:
    """The parser with all commands."""
    parser = argparse.ArgumentParser(
        prog="gistcast",
        description="Generative video streaming: describe each clip, sketch what differs, "
        "regenerate the rest.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the process's exit status."""
    args = build_parser().parse_args(argv)
    try:
        args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except UsageError as error:
        print(f"gistcast {args.command}: {error}", file=sys.stderr)
        return 2
    except CorruptError as error:
        print(f"gistcast {args.command}: {error}", file=sys.stderr)
        return 3
    except (GistcastError, OSError) as error:
        print(f"gistcast {args.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
