"""The house in figures: sizes, what is typed and told, what stands there twice.

python tests/house/census.py [TREE]

A run of lines stands there twice where six or more follow each other in two places, the same but
for indentation; empty lines, comments, docstrings and imports are left out.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("codec", "models", "stream", "eval", "app")
RUN = 6  # lines

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A file that was read and parsed."""

    path: Path
    lines: list[str]
    tree: ast.Module


def modules(folder: Path) -> list[Module]:
    """All Python of a folder."""
    texts = [(path, path.read_text()) for path in sorted(folder.rglob("*.py"))]
    return [Module(path, text.splitlines(), ast.parse(text)) for path, text in texts]


def functions(tree: ast.AST, hidden: bool = False) -> Iterator[tuple[Function, bool]]:
    """Every function, and whether it is public: no part of its path begins with "_"."""
    for node in ast.iter_child_nodes(tree):
        inner = hidden or str(getattr(node, "name", "")).startswith("_")
        if isinstance(node, Function):
            yield node, not inner
        yield from functions(node, inner or isinstance(node, Function))


def length(function: Function) -> int:
    """Lines from `def` to the end."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def typed(function: Function) -> bool:
    """Whether every argument but `self` and `cls`, and what is returned, has its type."""
    told = function.args
    every = [*told.posonlyargs, *told.args, *told.kwonlyargs, told.vararg, told.kwarg]
    return function.returns is not None and all(
        one.annotation for one in every if one and one.arg not in ("self", "cls")
    )


def code_lines(module: Module) -> list[str]:
    """Stripped lines of code."""
    left_out: set[int] = set()
    for node in ast.walk(module.tree):
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if text or isinstance(node, ast.Import | ast.ImportFrom):
            left_out.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    stripped = [line.strip() for at, line in enumerate(module.lines, 1) if at not in left_out]
    return [line for line in stripped if line and not line.startswith("#")]


def twice(found: list[Module]) -> int:
    """How many pairs of places share a run of `RUN` lines or more."""
    lines = [code_lines(module) for module in found]
    places = defaultdict(list)
    for number, code in enumerate(lines):
        for at in range(len(code) - RUN + 1):
            places[tuple(code[at : at + RUN])].append((number, at))
    pairs = {pair for same in places.values() for pair in combinations(same, 2)}
    # a longer run is many windows, each one line on: its first counts
    return sum(((a, i - 1), (b, j - 1)) not in pairs for (a, i), (b, j) in pairs)


def share(good: list[bool]) -> str:
    """`99.5 % of 200`."""
    return f"{100 * sum(good) / len(good):.1f} % of {len(good)}"


def census(root: Path) -> dict[str, str]:
    """What is counted, and the figure."""
    found = [module for folder in FOLDERS for module in modules(root / folder)]
    tests = modules(root / "tests")
    every = [(one, public, module) for module in found for one, public in functions(module.tree)]
    public = [one for one, seen, _ in every if seen]
    longest = max(found, key=lambda module: len(module.lines))
    largest, _, where = max(every, key=lambda row: length(row[0]))
    lengths = [length(one) for one, _, _ in every]
    total = sum(len(module.lines) for module in found)
    return {
        "files; lines": f"{len(found)}; {total}",
        "files of tests; lines": f"{len(tests)}; {sum(len(one.lines) for one in tests)}",
        "longest file": f"{len(longest.lines)} ({longest.path.relative_to(root)})",
        "files over 400 lines": str(sum(len(module.lines) > 400 for module in found)),
        "longest function": f"{length(largest)} ({where.path.relative_to(root)}, {largest.name})",
        "functions over 50 lines": f"{sum(one > 50 for one in lengths)} of {len(lengths)}",
        "median function": f"{statistics.median(lengths):g}",
        "public functions with types": share([typed(one) for one in public]),
        "public functions with docstrings": share([bool(ast.get_docstring(o)) for o in public]),
        "runs that stand there twice": str(twice(found)),
        "of tests": str(twice(tests)),
    }


if __name__ == "__main__":
    for what, figure in census(Path(sys.argv[1]) if sys.argv[1:] else ROOT).items():
        print(f"{what:34}{figure}")
