"""The command line: one module a command, each with `add(subparsers)` and a `run(args)`.

Media on standard output, all else on standard error; exit 0 ok, 1 failed, 2 usage, 3 corrupt.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from gistcast import __version__
from gistcast.codec.errors import CorruptError, GistcastError, UsageError

#: a command, and the module that has it
COMMANDS = {
    "encode": "encode",
    "decode": "decode",
    "info": "info",
    "generate": "generate",
    "scenes": "scenes",
    "eval": "evaluate",
    "streameval": "streameval",
    "send": "streaming",
    "receive": "streaming",
    "serve": "serve",
    "train": "train",
    "bench": "bench",
    "demo": "demo",
    "completion": "completion",
}

_EPILOG = """examples:
  gistcast encode in.mp4 -o out.gist --size 64x64 --clip-bytes 450
  gistcast decode out.gist -o out.mp4
  gistcast serve --demo                      # then open http://127.0.0.1:8787 in a browser
  gistcast encode --help                     # of one command, with examples

Exit status: 0 done, 1 failed, 2 a mistake in the arguments, 3 damaged input.
"""


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser with all commands, or with a single one, whose module alone is imported.

    Args:
        command: one of `COMMANDS`.
    """
    parser = argparse.ArgumentParser(
        prog="gistcast",
        description="Generative video streaming: describe each clip, sketch what differs, "
        "regenerate the rest.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gistcast {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    modules = COMMANDS.values() if command is None else [COMMANDS[command]]
    for module in dict.fromkeys(modules):
        importlib.import_module(f"gistcast.cli.{module}").add(commands)
    return parser


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    first = argv[0] if argv else None
    if first == "--version":
        first = "completion"  # imports nothing
    return build_parser(first if first in COMMANDS else None).parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the process's exit status."""
    args = _parse(sys.argv[1:] if argv is None else argv)
    try:
        args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except UsageError as error:
        return _failed(args, error, 2)
    except CorruptError as error:
        return _failed(args, error, 3)
    except (GistcastError, OSError) as error:
        return _failed(args, error, 1)
    except KeyboardInterrupt:
        return 130
    return 0


def _failed(args: argparse.Namespace, error: Exception, status: int) -> int:
    print(f"gistcast {args.command}: {error}", file=sys.stderr)
    return status
