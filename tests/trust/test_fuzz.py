"""A short run of `fuzz.py` and `structured.py`; the figures of the whole are in docs/trust.md."""

from __future__ import annotations

import importlib
import random
from pathlib import Path

import cover
import delivery
import fuzz
import pytest
import structured
import targets

from gistcast.codec.errors import GistcastError


@pytest.mark.parametrize("name", targets.TARGETS)
def test_a_part_of_the_byte_level_cases(name: str) -> None:
    outcome = fuzz.fuzz(name, max(20, targets.TARGETS[name].share // 1000))
    assert outcome.cases >= 20 and not outcome.findings


@pytest.mark.parametrize("name", targets.TARGETS)
def test_seeds_are_read(name: str) -> None:
    """Most of what cases are made of is sound: so they reach what lies behind the first check."""
    refused, seeds = 0, targets.TARGETS[name].seeds()
    for data in seeds:
        try:
            targets.TARGETS[name].run(data)
        except GistcastError:
            refused += 1
    assert refused <= len(seeds) // 2


def test_ten_million_cases_are_the_whole() -> None:
    assert fuzz.TOTAL >= 10_000_000


def test_a_batch_can_be_had_again() -> None:
    draws = [random.Random("header 7") for _ in range(2)]
    first, second = ([fuzz.mutate(b"abcdef", b"uvwxyz", d) for _ in range(50)] for d in draws)
    assert first == second and len(set(first)) > 25


def test_a_finding_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(data: bytes) -> None:
        assert b"\x80" not in data

    target = targets.Target(broken, 1000, 100, lambda: [b"seed"])
    monkeypatch.setitem(targets.TARGETS, "header", target)
    fuzz.corpus.cache_clear()
    outcome = fuzz.fuzz("header", 1000)
    fuzz.corpus.cache_clear()
    assert outcome.findings and "AssertionError" in outcome.findings[0][1]


def test_checksums_are_made_to_fit() -> None:
    data = bytearray(targets._files()[3])
    start = len(targets.parse_header(bytes(data))[0].to_bytes())
    data[start + 5] ^= 1
    assert targets.read_gist(bytes(data)).damage
    assert not targets.read_gist(targets.sealed(bytes(data), start, bytes(data[:start]))).damage


def test_a_part_of_the_structured_cases() -> None:
    outcome = structured.cases(300)
    assert outcome.cases >= 300 and not outcome.findings


def test_a_part_of_the_deliveries() -> None:
    outcome = delivery.cases(2000)
    assert outcome.cases >= 2000 and not outcome.findings


def test_a_wrong_delivery_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An assembler that leaves parity alone, and one that believes everything."""
    monkeypatch.setattr(delivery.Assembler, "_repair", lambda *_: None)
    assert any("fair" in wrong for _, wrong in delivery.cases(400).findings)
    monkeypatch.undo()
    monkeypatch.setattr(delivery.Assembler, "_fits", lambda *_: True)
    assert any("hostile" in wrong for _, wrong in delivery.cases(400).findings)


def test_lines_that_run_are_seen() -> None:
    """Those of one branch and not of the other, in a function that was looked at before, too."""
    path = Path(cover.__file__)
    lines = dict(cover.functions(compile(path.read_text(), str(path), "exec")))
    body = lines["forget"]
    tracer = cover.Tracer({str(path)})
    tracer.during(cover.forget, [])
    first = tracer.reached[str(path)] & body
    tracer.during(cover.forget, [targets])
    assert first < tracer.reached[str(path)] & body == body
    assert "compiled" in lines and not tracer.reached[str(path)] & lines["compiled"]


def test_functions_that_are_left_out_exist() -> None:
    for module, names in cover.MODULES.items():
        path = importlib.import_module(f"gistcast.{module}").__file__
        assert path is not None
        code = compile(Path(path).read_text(), path, "exec")
        known = {part for name, _ in cover.functions(code) for part in (name, name.split(".")[0])}
        assert names <= known
