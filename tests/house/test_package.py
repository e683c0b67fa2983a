"""What is released: a wheel and an sdist, built once, installed beside nothing of this tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import gistcast

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("app", "codec", "models", "stream", "eval")
_BUILD = "from setuptools import build_meta as b; b.build_{}('{}')"


def _build(tree: Path, what: str, target: Path) -> Path:
    """Have setuptools build in `tree`, as pip would have it."""
    target.mkdir()
    command = [sys.executable, "-W", "ignore", "-c", _BUILD.format(what, target)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = target.iterdir()
    return found


def _contents(wheel: Path) -> dict[str, int]:
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist of a copy of this tree."""
    folder = tmp_path_factory.mktemp("built")
    tree = folder / "tree"
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests" / "house", tree / "tests" / "house")
    (tree / "work").mkdir()
    (tree / "work" / "notes.py").write_text("secret = 1\n")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    return _build(tree, "wheel", folder / "wheel"), _build(tree, "sdist", folder / "sdist")


def test_wheel_is_gistcast_and_no_more(built: tuple[Path, Path]) -> None:
    names = set(_contents(built[0]))
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"gistcast"}
    homes = {"app": "gistcast", **{name: f"gistcast/{name}" for name in FOLDERS[1:]}}
    sources = {
        f"{homes[folder]}/{path.relative_to(ROOT / folder)}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == sources
    kinds = (".safetensors", ".py", ".txt", ".js", ".css", ".html", ".mp4", ".md")
    assert all(any(name.endswith(kind) for name in sources) for kind in kinds)


def test_sdist_builds_the_same_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    wheel, sdist = built
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    assert not any(tree.rglob("work")) and not any(tree.rglob("test_*.py"))
    assert _contents(_build(tree, "wheel", tmp_path / "again")) == _contents(wheel)


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel in a folder of its own, which is looked in before this environment."""
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-compile", "--target", str(target), str(built[0])]
    subprocess.run(command, check=True, capture_output=True)
    return target


def test_installed_command(installed: Path, tmp_path: Path) -> None:
    """A clip as text alone: tables, weights of both stages; nothing is compiled on the way."""
    shutil.copy(ROOT / "app" / "assets" / "street.mp4", tmp_path / "in.mp4")
    code = "import gistcast, sys; from gistcast.cli import main; print(gistcast.__file__);"
    told = ["--layers", "text", "--text", "a street", "--size", "32x32", "--fps", "5"]
    code += f"a = main(['encode', 'in.mp4', '-o', 'a.gist', *{told}]);"
    code += "sys.exit(a or main(['decode', 'a.gist', '-o', 'out.mp4']))"
    environment = {**os.environ, "PYTHONPATH": str(installed)}

    def run(*command: str) -> str:
        return subprocess.run(
            command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
        ).stdout

    assert run(str(installed / "bin" / "gistcast"), "--version") == (
        f"gistcast {gistcast.__version__}\n"
    )
    assert run(sys.executable, "-c", code).startswith(str(installed))
    assert (tmp_path / "out.mp4").stat().st_size > 500


def test_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == gistcast.__version__
    assert f"## {gistcast.__version__}\n" in (ROOT / "CHANGELOG.md").read_text()
    assert f"version: {gistcast.__version__}\n" in (ROOT / "CITATION.cff").read_text()
