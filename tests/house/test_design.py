"""`docs/design.md` is true to the code: what it names exists, and it names every module."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "design.md").read_text()
FOLDERS = ("codec", "models", "stream", "eval", "app")


def test_paths_exist() -> None:
    paths = set(re.findall(rf"\b(?:{'|'.join(FOLDERS)}|tests)/[\w/]*(?:\.py)?", TEXT))
    assert len(paths) > 30
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert not missing


def test_names_exist() -> None:
    """`codec.encoder.Encoder.encode_clip`: a module, and what it defines."""
    names = re.findall(rf"`((?:{'|'.join(FOLDERS[:4])})(?:\.\w+)+)`", TEXT)
    assert len(names) > 20
    for name in names:
        parts = name.split(".")
        module = next(n for n in range(len(parts), 0, -1) if _is_module(parts[:n]))
        found = importlib.import_module(".".join(["gistcast", *parts[:module]]))
        assert module < len(parts), f"{name} is a module"
        for part in parts[module:]:
            found = getattr(found, part)


def _is_module(parts: list[str]) -> bool:
    path = ROOT.joinpath(*parts)
    return path.is_dir() or path.with_suffix(".py").is_file()


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_module_has_its_place(folder: str) -> None:
    section = re.search(rf"^### {folder}: .*?(?=^### |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert section, f"no section about {folder}"
    named = re.findall(r"`(\w+(?:\.py|/))`", section[0])
    assert len(named) == len(set(named)), "a module has two places"
    inside = {path.name for path in (ROOT / folder).glob("*.py")}
    inside |= {f"{path.parent.name}/" for path in (ROOT / folder).glob("*/__init__.py")}
    empty = {"__init__.py"} if folder != "app" else set()
    assert set(named) == inside - empty
