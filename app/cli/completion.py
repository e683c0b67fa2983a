"""`gistcast completion`: what a shell needs to complete commands and options with TAB."""

from __future__ import annotations

import argparse
import importlib

from gistcast.cli import build_parser, common
from gistcast.codec.errors import UsageError

SHELLS = ("bash", "zsh")

EPILOG = """examples:
  gistcast completion bash > ~/.local/share/bash-completion/completions/gistcast
  gistcast completion zsh > ~/.zfunc/_gistcast         # with fpath+=~/.zfunc in ~/.zshrc
  eval "$(gistcast completion bash)"                   # in this shell alone
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = common.add_command(
        commands, "completion", "print a script with which a shell completes commands", EPILOG
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell that asks")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the script.

    Raises:
        UsageError: shtab, which writes it, is not installed.
    """
    try:
        shtab = importlib.import_module("shtab")
    except ModuleNotFoundError as error:
        raise UsageError("this takes shtab: pip install shtab") from error
    print(shtab.complete(build_parser(), shell=args.shell))
