"""A codec of the user's own: the worked example runs, and mistakes are told."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.errors import GistcastError, UsageError
from gistcast.eval.codecs.base import Codec, Geometry
from gistcast.eval.codecs.plugin import load_codec

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "own_codec.py"
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "evaluation-codec.md"

WHOLE = """
class Whole:
    name, mode, uses_text, points, counted = "whole", "", False, (1.0, 2.0), "nothing"
    def settings(self, point): return f"point {point}"
    def encode(self, clip, fps, point, text=None): ...
    def decode(self, coded, like): ...
"""


def test_the_example_is_a_codec(short_clip: Clip) -> None:
    pytest.importorskip("PIL")
    codec = load_codec(f"{EXAMPLE}:CODEC")
    assert isinstance(codec, Codec) and codec.name == "jpeg"
    sizes, errors = [], []
    for point in codec.points:
        coded = codec.encode(short_clip, Fraction(25), point)
        assert all(file.startswith(b"\xff\xd8") for file in coded.packets)  # what is counted
        shown = codec.decode(coded, Geometry.of(short_clip))[""]
        assert shown.y.shape == short_clip.y.shape and coded.seconds > 0
        sizes.append(coded.bytes)
        errors.append(float(np.mean((shown.y.astype(float) - short_clip.y) ** 2)))
    assert sizes == sorted(sizes) and errors == sorted(errors, reverse=True)


def test_the_example_is_in_the_documentation() -> None:
    body = EXAMPLE.read_text().partition('"""\n\n')[2]
    assert body.strip() in DOCUMENT.read_text()
    code = [line for line in body.partition("class ")[2].splitlines() if line.strip()]
    assert len(code) <= 25


@pytest.mark.parametrize(
    "ending", ["\nCODEC = Whole()", "\nCODEC = Whole", "\ndef CODEC(): return Whole()"]
)
def test_objects_classes_and_functions(tmp_path: Path, ending: str) -> None:
    (tmp_path / "mine.py").write_text(WHOLE + ending)
    assert load_codec(f"{tmp_path}/mine.py:CODEC").points == (1.0, 2.0)


def test_a_codec_of_an_installed_package() -> None:
    assert load_codec("gistcast.eval.codecs.x264:X264").name == "x264"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("def encode", "def code"), "no method 'encode'"),
        (("def decode", "def show"), "no method 'decode'"),
        (("uses_text", "text"), "'uses_text' must be a bool"),
        (('"whole"', '""'), "'name' and 'counted' must say something"),
        (('"nothing"', "None"), "'counted' must be a str"),
        (('"", False', '"fast", False'), "'mode' is '' or 'realtime', not 'fast'"),
        (("(1.0, 2.0)", "()"), "'points' must be numbers"),
        (("(1.0, 2.0)", "('a', 'b')"), "'points' must be numbers"),
        (("{point}", "one"), "'settings' must differ from point to point"),
    ],
)
def test_what_is_not_a_codec_is_told(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    source = WHOLE.replace(*change)
    assert source != WHOLE
    (tmp_path / "mine.py").write_text(source + "\nCODEC = Whole()")
    with pytest.raises(GistcastError, match=f"is not a codec: .*{message}"):
        load_codec(f"{tmp_path}/mine.py:CODEC")


def test_what_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "empty.py").write_text("")
    for spec, message in (
        (f"{tmp_path}/gone.py:CODEC", "no such file"),
        (f"{tmp_path}/empty.py:CODEC", "has no 'CODEC'"),
        ("no.such.module:CODEC", "no module 'no.such.module'"),
        ("x266", "FILE.py:NAME or MODULE:NAME"),
        ("mine.py:", "FILE.py:NAME or MODULE:NAME"),
    ):
        with pytest.raises(UsageError, match=message):
            load_codec(spec)
    with pytest.raises(GistcastError, match="ZeroDivisionError"):
        load_codec(f"{tmp_path}/broken.py:CODEC")
