"""What `census.py` counts, on a house of two rooms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import census
from snippets import ROOT

SAME = """        # a comment is no code
        b = a + 1
        c = b + 1
        d = c + 1
        return d

    e = a - 1
"""
ONE = f'''
"""A room."""

import os


def told(a: int, *rest: str) -> int:
    """Nor is a docstring."""
    if a:
{SAME}    return e + 0


def _hidden(a):
    def inner(b):
        return b
    return inner
'''
TWO = f"""
async def untold(a):
    if a:
{SAME}    return e + 1
"""


def test_what_is_counted(tmp_path: Path) -> None:
    for folder in (*census.FOLDERS, "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "codec" / "one.py").write_text(ONE)
    (tmp_path / "eval" / "two.py").write_text(TWO)
    found = census.census(tmp_path)
    assert found["files; lines"] == f"2; {len(ONE.splitlines()) + len(TWO.splitlines())}"
    assert found["longest function"] == "11 (codec/one.py, told)"
    assert found["functions over 50 lines"] == "0 of 4"
    assert found["public functions with types"] == "50.0 % of 2"
    assert found["public functions with docstrings"] == "50.0 % of 2"
    assert found["runs that stand there twice"] == "1"  # the last lines differ
    assert found["of tests"] == "0"


def test_the_command_runs() -> None:
    command = [sys.executable, str(ROOT / "tests" / "house" / "census.py")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert len(said.splitlines()) == len(census.census(ROOT))
