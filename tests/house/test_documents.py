"""What documents say to type works: Python runs, commands run or at least parse.

Commands that are only parsed are those of `NOT_RUN`, each with why. All else runs on eight frames,
in this process. A file that a command writes is replaced, wherever it comes from (`-y`).
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import inspect
import itertools
import re
import runpy
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from snippets import DOCUMENTS, ROOT, Snippet, check, commands, pieces, snippets

import gistcast
from gistcast.api import models_for
from gistcast.cli import build_parser, main
from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.decoder import Decoder
from gistcast.codec.encoder import Encoder
from gistcast.codec.header import parse_header
from gistcast.codec.media import VideoInfo, VideoWriter

#: commands that are parsed and not run, and why
NOT_RUN = {
    r"DATA|FOUND|clips/|videos/|world/": "takes videos that are not in the project",
    r"gistcast (train|eval|streameval|bench|demo)\b": "takes minutes; has tests of its own",
    r"gistcast serve|whep|--reconnect": "has no end; tests/stream/test_serve.py",
    r"gistcast receive --web": "waits for a browser; tests/stream/test_page.py",
    r"--count \d\d": "draws dozens of clips",
    r"gistcast completion": "takes shtab; tests/app/test_cli.py",
    r"python -m gistcast\.(models|eval)\.": "takes results or training data",
}
#: documents whose commands are run, with what is written by one at hand for the next
RUN = [ROOT / "README.md", ROOT / "docs" / "streaming.md"]
#: languages of fenced blocks; no language: a drawing or a formula
LANGUAGES = {"", "console", "json", "mermaid", "python", "toml"}


def _every(language: str) -> list[Snippet]:
    return [one for path in DOCUMENTS for one in snippets(path) if one.language == language]


@pytest.fixture(scope="module")
def short(street: Clip) -> Clip:
    """Eight frames."""
    return Clip(*(plane[:8] for plane in street.planes))


@pytest.fixture
def folder(tmp_path: Path, short: Clip, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with in.mp4 in it, to stand in."""
    monkeypatch.chdir(tmp_path)
    writer = VideoWriter(tmp_path / "in.mp4", VideoInfo(64, 64, Fraction(25)))
    writer.write(short)
    writer.close()
    return tmp_path


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_parse(path: Path) -> None:
    for snippet in snippets(path):
        assert snippet.language in LANGUAGES, f"{snippet}: language {snippet.language}"
        if snippet.language == "console":
            typed = commands(snippet.text)
            assert typed, f"{snippet}: no line begins with $"
            for command in typed:
                for words in pieces(command):
                    check(words)
        elif not snippet.language:
            assert not re.search("gistcast [a-z]+ .*-", snippet.text), f"{snippet}: a console?"


def _why_not(command: str) -> str | None:
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, command)), None)


def _to_run(snippet: Snippet) -> Iterator[tuple[str, list[str]]]:
    """Commands of ours that run by themselves, with their arguments; none that talk to one that
    does not run."""
    for command in commands(snippet.text) if snippet.language == "console" else ():
        words = pieces(command)
        if not _why_not(command) and len(words) == 1 and words[0][0] == "gistcast":
            yield command, words[0][1:]
        elif _in_background(command):
            return


def _in_background(command: str) -> bool:
    return command.split("#")[0].rstrip().endswith("&")


@pytest.mark.parametrize("path", RUN, ids=lambda path: path.name)
def test_commands_run(path: Path, folder: Path) -> None:
    port, ran = _free_port(), 0
    for snippet in snippets(path):
        waiting = []
        for command, words in _to_run(snippet):
            arguments = [word.replace("8787", port) for word in words]
            if arguments[0] == "receive":
                arguments += ["--wait", "60", "--listen", f"127.0.0.1:{port}"]
            arguments += ["-y"] * (arguments[0] in ("encode", "decode", "generate", "receive"))
            if _in_background(command):
                waiting.append((command, _start(arguments)))
            else:
                assert main(arguments) == 0, f"{snippet}: {command}"
            ran += 1
        for command, status in waiting:
            assert status() == 0, f"{snippet}: {command}"
    assert ran > 1


def _start(arguments: list[str]) -> Callable[[], int]:
    """Run a command in a thread; what waits for its exit status."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(main(arguments)), daemon=True)
    thread.start()

    def wait() -> int:
        thread.join(90)
        return found[0]

    return wait


@pytest.fixture
def at_hand(short: Clip, folder: Path) -> dict[str, Any]:
    """What snippets take for granted."""
    frames = clip_to_rgb(short)
    info = VideoInfo(64, 64, Fraction(25))

    def open_decoder(header: bytes) -> Decoder:
        model, _ = models_for(parse_header(header)[0], refine="off")
        return Decoder(header, model)

    return {
        "gistcast": gistcast,
        "frames": frames,
        "frame": frames[0],
        "clips": iter([short]),
        "fps": Fraction(25),
        "encoder": Encoder(info, gistcast.EncodeSettings(quality=20, preset="fast")),
        "open_decoder": open_decoder,
        "open_writer": lambda info: VideoWriter(folder / "received.y4m", info),
    }


def _together(tree: ast.Module) -> ast.Module:
    """Awaits that follow each other are two processes: they run side by side."""
    waits = [node for node in tree.body if _is_wait(node)]
    if len(waits) > 1:
        calls = ", ".join(ast.unparse(node)[len("await ") :] for node in waits)
        rest = [node for node in tree.body if not _is_wait(node)]
        both = ast.parse(f"import asyncio\nawait asyncio.gather({calls})").body
        tree.body = [*rest, *both]
    return ast.fix_missing_locations(tree)


def _is_wait(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Await)


@pytest.fixture
def cut_short() -> Iterator[None]:
    """Training takes arguments and no time; a stream without end ends after two clips."""
    from gistcast.models import scenes, train_gist

    endless = scenes.stream
    with (
        mock.patch.object(scenes, "stream", lambda *told: itertools.islice(endless(*told), 2)),
        mock.patch.object(train_gist, "train_gist", mock.create_autospec(train_gist.train_gist)),
        mock.patch.object(train_gist, "export_gist", mock.create_autospec(train_gist.export_gist)),
    ):
        yield


@pytest.mark.parametrize("snippet", _every("python"), ids=str)
@pytest.mark.usefixtures("cut_short")
def test_python_runs(snippet: Snippet, at_hand: dict[str, Any]) -> None:
    if "PIL" in snippet.text:
        pytest.importorskip("PIL")
    text = snippet.text.replace("8787", _free_port())
    tree = _together(ast.parse(text))
    code = compile(tree, str(snippet), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(code, at_hand)
    if inspect.iscoroutine(running):
        asyncio.run(asyncio.wait_for(running, 60))


def test_what_is_not_run_is_said_and_true() -> None:
    """Every reason not to run a command is needed by one."""
    typed = [c for snippet in _every("console") for c in commands(snippet.text)]
    typed += [line for _, parser in _commands(build_parser()) for line in _examples(parser)]
    for pattern in NOT_RUN:
        assert any(re.search(pattern, command) for command in typed), pattern


def _commands(
    parser: argparse.ArgumentParser, name: str = "gistcast"
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """A parser and all below it, by what is typed."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, below in action.choices.items():
                yield from _commands(below, f"{name} {word}")


def _examples(parser: argparse.ArgumentParser) -> list[str]:
    """The lines below `examples:` in a parser's help."""
    lines = (parser.epilog or "").partition("examples:\n")[2].partition("\n\n")[0].splitlines()
    return [line.strip() for line in lines if re.match(r"  [a-z]", line)]


@pytest.mark.parametrize("name, parser", list(_commands(build_parser())))
def test_help_teaches_by_example(name: str, parser: argparse.ArgumentParser) -> None:
    examples = _examples(parser)
    assert examples, f"{name} --help has no examples"
    typed = name.split()
    assert not examples or any(line.split()[: len(typed)] == typed for line in examples)
    for line in examples:
        for words in pieces(line):
            check(words)


def test_figures_are_those_of_committed_results(capsys: pytest.CaptureFixture[str]) -> None:
    """README.md holds what `python docs/figures.py` prints."""
    figures = runpy.run_path(str(ROOT / "docs" / "figures.py"))
    with mock.patch.object(sys, "argv", ["figures.py"]):
        figures["main"]()
    printed = capsys.readouterr().out
    readme = (ROOT / "README.md").read_text()
    inside = readme.split(figures["BEGIN"])[1].split(figures["END"])[0]
    assert inside.strip() == printed.strip() and len(printed) > 1000


@pytest.mark.filterwarnings("error")
def test_reference_can_be_built(tmp_path: Path) -> None:
    """All that `make api` reads, short of laying it out; one page whole."""
    pdoc = pytest.importorskip("pdoc")
    reference = runpy.run_path(str(ROOT / "docs" / "api.py"))
    names = reference["read"]()
    assert len(names) > 100
    for name in names:
        _read(pdoc.doc.Module.from_name(name))
    with mock.patch.dict(reference["build"].__globals__, MODULES=("gistcast",)):
        reference["build"](tmp_path)
    assert "clip_bytes" in (tmp_path / "gistcast.html").read_text()


def _read(described: Any) -> None:
    """Docstrings, signatures and annotations of a module or class, and of what is in it."""
    for member in described.own_members:
        assert isinstance(member.docstring, str)
        if member.kind == "function":
            str(member.signature)
        elif member.kind == "variable":
            assert isinstance(member.annotation_str, str)
        elif member.kind == "class":
            _read(member)
