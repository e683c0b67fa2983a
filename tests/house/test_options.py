"""The command line says what its options are, and calls the same thing by the same name."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from gistcast.cli import COMMANDS, build_parser


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers of all commands and stages."""
    inner = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if not inner:
        yield parser
    for group in inner:
        for one in group.choices.values():
            yield from _parsers(one)


ROOT = Path(__file__).parent.parent.parent
PARSERS = list(_parsers(build_parser()))
NAMES = [parser.prog.removeprefix("gistcast ") for parser in PARSERS]


def test_every_command_is_looked_at() -> None:
    assert {name.split()[0] for name in NAMES} == set(COMMANDS)
    assert len(NAMES) > len(COMMANDS)  # the stages of train


@pytest.mark.parametrize("parser", PARSERS, ids=NAMES)
def test_every_option_has_help(parser: argparse.ArgumentParser) -> None:
    untold = [one.option_strings or one.dest for one in parser._actions if not one.help]
    assert not untold


@pytest.mark.parametrize("parser", PARSERS, ids=NAMES)
def test_what_is_written_goes_to_output(parser: argparse.ArgumentParser) -> None:
    options = parser._option_string_actions
    assert options.get("-o") is options.get("--output")
    assert "--json" in options or parser.prog == "gistcast completion"


def test_a_name_takes_the_same_everywhere() -> None:
    """`--size WxH` is never a number elsewhere."""
    kinds: dict[str, set[object]] = {}
    for parser in PARSERS:
        for name, action in parser._option_string_actions.items():
            kind = None if action.type is Path else action.type  # `-` is no path
            kinds.setdefault(name, set()).add(kind)
    assert not {name: found for name, found in kinds.items() if len(found) > 1}


@pytest.mark.parametrize("folder", ["docs", "eval", "examples", "models", "stream"])
def test_scripts_tell_their_options_too(folder: str) -> None:
    """What is run as a module or a file, and has a parser of its own."""
    untold = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("add_argument")
        if not any(one.arg == "help" for one in node.keywords)
    ]
    assert not untold
