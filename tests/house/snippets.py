"""Snippets of documents: found, taken apart as a shell would, and checked against real parsers.

document --fences--> `Snippet` --"$ " lines--> commands --pipes, &, ;--> argument lists
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import inspect
import io
import re
import shlex
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from gistcast.cli import COMMANDS, build_parser

ROOT = Path(__file__).parent.parent.parent

#: where people find something to type
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "docs/results/*/README.md")
    for path in ROOT.glob(pattern)
)
#: programs of others that documents call
OTHERS = {
    "cat",
    "cp",
    "echo",
    "ffmpeg",
    "ffplay",
    "git",
    "ls",
    "make",
    "pip",
    "python3",
    "sed",
    "sh",
}
_SHELL = {"for", "do", "done", "export", "eval"}


@dataclass(frozen=True)
class Snippet:
    """A fenced block: where it stands, its language (empty: a drawing or a formula), its text."""

    path: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def snippets(path: Path) -> Iterator[Snippet]:
    """The fenced blocks of a document."""
    pattern = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
    text = path.read_text()
    for found in pattern.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Snippet(path, line, found[2], textwrap.dedent(found[3]))


def commands(text: str) -> list[str]:
    """What stands behind "$ ", a line that goes on below put together, variables replaced.

    What the shell would put in for `$(...)` is the word FOUND.
    """
    values: dict[str, str] = {}
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            line = re.sub(r"\$\([^()]*\)", "FOUND", line[2:])
            line = re.sub(r"\$(\w+)", lambda name: values.get(name[1], ""), line)
            for name, quoted, plain in re.findall(r"\b([A-Z]\w*)=(?:\"([^\"]*)\"|(\S+))", line):
                values[name] = quoted or plain.rstrip(";")
            found.append(line)
    return found


def pieces(command: str) -> list[list[str]]:
    """The argument lists between pipes, semicolons and ampersands; no comments or redirections.

    An optional `[--option]` is taken.
    """
    bare = re.sub(r" \[(--[^]]*)\]", r" \1", command)
    bare = re.sub(r"(?<=\s)#.*", "", bare) if '"' not in bare.partition("#")[2] else bare
    lexer = shlex.shlex(bare, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if word and set(word) <= set("|&;"):
            found.append([])
        else:
            found[-1].append(word)
    without = [_without_redirection(words) for words in found]
    return [words for words in without if words]


def _without_redirection(words: list[str]) -> list[str]:
    if words and re.fullmatch(r"\w+=.*", words[0]):
        return []
    for at, word in enumerate(words):
        if word and set(word) <= set("<>"):
            return words[:at] + words[at + 2 :]
    return words


class _ParsedError(Exception):
    """Arguments were parsed; what would follow is not wanted."""


def check(words: list[str]) -> str:
    """Parse a command as it would be, without running it; the name of its program.

    Raises:
        AssertionError: a program that nobody knows, or arguments that its parser refuses.
    """
    if words[0] == "torchrun":
        words = ["python", *words[words.index("-m") :]]
    program, arguments = words[0], words[1:]
    if program == "gistcast" or words[:3] == ["python", "-m", "gistcast"]:
        arguments = arguments if program == "gistcast" else words[3:]
        _refuses_nothing(lambda: build_parser(_command(arguments)).parse_args(arguments), words)
        return "gistcast"
    if program in ("python", "python3") and arguments[0] == "-m" and "gistcast" in arguments[1]:
        main = importlib.import_module(arguments[1]).main
        if not inspect.signature(main).parameters:
            _refuses_nothing(lambda: _parse_only(main, arguments[1:]), words)
    elif program in ("python", "python3") and arguments[0].endswith(".py"):
        assert (ROOT / arguments[0]).is_file(), f"no {arguments[0]}"
    elif program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    else:
        assert program in OTHERS | _SHELL or "/bin/" in program, f"what is {program}?"
    return program


def _command(arguments: list[str]) -> str | None:
    return arguments[0] if arguments and arguments[0] in COMMANDS else None


def _refuses_nothing(parse, words) -> None:  # type: ignore[no-untyped-def]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            parse()
    except SystemExit as status:
        assert not status.code, f"{shlex.join(words)}: {said.getvalue().splitlines()[-1:]}"


def _parse_only(main, argv) -> None:  # type: ignore[no-untyped-def]
    """Run a module's `main` up to where it has parsed its arguments."""
    parse = argparse.ArgumentParser.parse_args

    def then_stop(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        parse(self, args, namespace)
        raise _ParsedError

    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", then_stop),
        mock.patch.object(sys, "argv", argv),
        contextlib.suppress(_ParsedError),
    ):
        main()
        raise AssertionError(f"{argv[0]} parses no arguments")
