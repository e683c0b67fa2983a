"""Tables of codecs over networks, made of results."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

RESULTS = Path(__file__).parents[2] / "docs" / "results" / "streaming"


@pytest.fixture(scope="module")
def grid() -> ModuleType:
    """`grid.py` beside this file."""
    spec = importlib.util.spec_from_file_location("grid", Path(__file__).with_name("grid.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["grid"] = module
    spec.loader.exec_module(module)
    return module


def test_what_networks_are_called(grid: ModuleType) -> None:
    common = "delay=150ms,handshake=clean,seed=1"
    assert grid.case_of(common) == ("none", 150)
    assert grid.case_of(f"loss=5%,{common}") == ("5 %", 150)
    assert grid.case_of(f"loss=5%,burst=4,{common}") == ("5 %, runs of 4", 150)
    assert grid.case_of("trace=x/y.trace,delay=20ms") == ("falling rate", 20)


def test_what_is_published_is_what_was_measured(grid: ModuleType) -> None:
    """Tables and results are of one run, and every row has its place in a table."""
    rows = json.loads((RESULTS / "results.json").read_text())["rows"]
    readme = (RESULTS / "README.md").read_text()
    assert grid.replaced(readme, grid.report(rows)) == readme
    guide = RESULTS.parents[1] / "streaming.md"
    assert grid.replaced(guide.read_text(), grid.overviews(rows)) == guide.read_text()
    lines = [line for line in readme.splitlines() if line.startswith("| ")]
    listed = [line for line in lines if line.split("|")[2].strip() in ("gistcast", "VP8", "H.264")]
    assert len(listed) == len(rows)


def test_a_text_without_a_place_is_refused(grid: ModuleType) -> None:
    with pytest.raises(ValueError, match="no lines"):
        grid.replaced("text", "tables")
