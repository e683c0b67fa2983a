"""The folders are the architecture: imports go one way, the wheel holds gistcast and no more."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
import zipfile
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


def test_wheel_installs_only_gistcast(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "-w",
        str(tmp_path),
        ".",
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"gistcast"}
    for needed in (
        "codec/tables/residual-1.safetensors",
        "codec/tables/residual-2.safetensors",
        "assets/street.mp4",
        "cli/encode.py",
    ):
        assert f"gistcast/{needed}" in names


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
