"""The folders are the architecture: imports go one way, what is public is told, links lead on."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

import gistcast

ROOT = Path(__file__).parent.parent.parent

#: what each folder may import of gistcast besides itself
ALLOWED = {
    "codec": set(),
    "models": {"codec"},
    "stream": {"codec", "models"},
    "eval": {"codec", "models"},
    "app": {"codec", "models", "stream", "eval", "api", "cli"},
}
HEAVY = {"codec": {"torch", "torchvision", "aiortc", "aiohttp", "compressai"}}


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            if node.module == "gistcast":
                names |= {f"gistcast.{alias.name}" for alias in node.names}
    return names


def _sources(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_go_one_way(folder: str) -> None:
    for path in _sources(folder):
        for name in _imports(path):
            parts = name.split(".")
            if parts[0] == "gistcast" and len(parts) > 1 and folder != "app":
                assert parts[1] in ALLOWED[folder] | {folder}, f"{path} imports {name}"
            assert parts[0] not in HEAVY.get(folder, set()), f"{path} imports {name}"


def test_packages_are_the_folders_on_disk() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    mapped = config["package-dir"]
    assert set(mapped) == set(config["packages"])
    on_disk = {
        str(p.parent.relative_to(ROOT))
        for folder in ALLOWED
        for p in (ROOT / folder).rglob("__init__.py")
    }
    declared = {
        mapped.get(package)
        or str(Path(mapped[package.rpartition(".")[0]]) / package.rpartition(".")[2])
        for package in config["packages"]
    }
    assert declared == on_disk


def test_public_names() -> None:
    assert gistcast.__all__ == sorted(gistcast.__all__)
    assert all(hasattr(gistcast, name) for name in gistcast.__all__)


def test_import_needs_no_torch() -> None:
    code = "import sys, gistcast, gistcast.cli.encode; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_pickle() -> None:
    for folder in ALLOWED:
        for path in _sources(folder):
            assert not _imports(path) & {"pickle", "cPickle", "dill", "marshal"}, path
            assert "torch.load" not in path.read_text(), path
            assert "allow_pickle=True" not in path.read_text(), path


#: what a network and a script have, told where the class and the module are
UNTOLD = {"forward", "main"}


def _public(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Public classes, functions and methods; no properties, whose class tells what they are."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If | ast.Try):
            yield from _public(node)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if not any("Protocol" in ast.unparse(base) for base in node.bases):
                yield from _public(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            asked = " ".join(ast.unparse(one) for one in node.decorator_list)
            if not node.name.startswith("_") and not re.search(r"property|\.setter", asked):
                yield node


@pytest.mark.parametrize("folder", ALLOWED)
def test_what_is_public_is_told(folder: str) -> None:
    untold = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in _sources(folder)
        for node in _public(ast.parse(path.read_text()))
        if not ast.get_docstring(node) and node.name not in UNTOLD
    ]
    assert not untold


def test_every_weight_has_a_card_that_the_readme_names() -> None:
    weights = sorted((ROOT / "models" / "weights").glob("*.safetensors"))
    assert weights
    readme = (ROOT / "README.md").read_text()
    for path in weights:
        card = path.with_suffix(".md")
        assert re.search("(?i)licen[cs]e|research use|Apache|BSD|MIT", card.read_text()), (
            f"{card}: what licence?"
        )
        assert str(card.relative_to(ROOT)) in readme, f"README.md does not name {card.name}"


def test_dependencies_are_free_to_use() -> None:
    """What `pip install` brings directly, by what its packages say."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for wanted in project["dependencies"]:
        facts = metadata.metadata(re.split(r"[<>=]", wanted)[0])
        said = [facts.get("License-Expression") or "", facts.get("License") or ""]
        said += [one for one in facts.get_all("Classifier") or [] if one.startswith("License")]
        assert re.search("Apache|BSD|MIT|MPL", " ".join(said)), f"{wanted}: {said}"


def test_links_lead_somewhere() -> None:
    """Links and pictures of documents, to files of this tree."""
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.relative_to(ROOT)}: {target}"


def test_every_target_is_made_once() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert len(targets) > 5 and len(targets) == len(set(targets))
