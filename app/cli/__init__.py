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
from gistcast.cli import common
from gistcast.codec.errors import CorruptError, GistcastError, UsageError

#: a command: the module that has it, and what the list of commands says of it
COMMANDS = {
    "encode": ("encode", "video -> .gist"),
    "decode": ("decode", ".gist -> video"),
    "info": ("info", "fields and bytes of a .gist file"),
    "generate": ("generate", "text -> video"),
    "scenes": ("scenes", "render captioned clips: ten actions in ten surroundings"),
    "eval": ("evaluate", "measure codecs: results.json and report.html"),
    "streameval": (
        "streameval",
        "measure codecs over emulated networks: results.json and table.md",
    ),
    "send": ("streaming", "stream a video or a .gist file to a receiver"),
    "receive": ("streaming", "receive one stream and write it"),
    "serve": (
        "serve",
        "relay one sender to many viewers, with a web page to watch and to play with",
    ),
    "train": ("train", "train the tables, stage 1 or stage 2"),
    "bench": ("bench", "speed as multiples of real time"),
    "demo": ("demo", "encode, stream, regenerate and compare the bundled clip"),
    "completion": ("completion", "print a script with which a shell completes commands"),
}

_EPILOG = """examples:
  gistcast encode in.mp4 -o out.gist --size 64x64 --clip-bytes 450
  gistcast decode out.gist -o out.mp4
  gistcast serve --demo                      # then open http://127.0.0.1:8787 in a browser
  gistcast encode --help                     # of one command, with examples

Exit status: 0 done, 1 failed, 2 a mistake in the arguments, 3 damaged input.
"""


def _bare_parser() -> tuple[
    argparse.ArgumentParser, argparse._SubParsersAction[argparse.ArgumentParser]
]:
    """The parser without commands, and what they are added to."""
    parser = argparse.ArgumentParser(
        prog="gistcast",
        description="Generative video streaming: describe each clip, sketch what differs, "
        "regenerate the rest.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gistcast {__version__}")
    return parser, parser.add_subparsers(dest="command", required=True, metavar="COMMAND")


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser with all commands, or with a single one, whose module alone is imported.

    Args:
        command: one of `COMMANDS`.
    """
    parser, commands = _bare_parser()
    names = list(COMMANDS) if command is None else [command]
    for module in dict.fromkeys(COMMANDS[name][0] for name in names):
        importlib.import_module(f"gistcast.cli.{module}").add(commands)
    return parser


def outline_parser() -> argparse.ArgumentParser:
    """The parser that knows the commands by name alone and imports none."""
    parser, commands = _bare_parser()
    for name, (_, summary) in COMMANDS.items():
        commands.add_parser(name, help=summary, add_help=False)
    return parser


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    command = argv[0] if argv else None
    if command not in COMMANDS:  # help, or a mistake: both end here
        command = outline_parser().parse_known_args(argv)[0].command
    return build_parser(command).parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the process's exit status."""
    args = _parse(sys.argv[1:] if argv is None else argv)
    common.tell_of_compiling()
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
