"""`gistcast eval`: the lab."""

from __future__ import annotations

import argparse


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command (its arguments are the lab's own)."""
    parser = commands.add_parser("eval", help="measure codecs: results.json and report.html")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure."""
