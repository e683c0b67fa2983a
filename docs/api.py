"""The reference of the Python API, from docstrings: `make api`, or `python docs/api.py -o out/api`.

Takes pdoc (`pip install pdoc`). A warning, such as an annotation that cannot be read, is an error.
"""

from __future__ import annotations

import argparse
import typing
import warnings
from pathlib import Path

#: what is described; kernels take what their callers checked, and commands have `--help`
MODULES = (
    "gistcast",
    "gistcast.api",
    "gistcast.networks",
    "gistcast.serving",
    "gistcast.codec",
    "gistcast.models",
    "gistcast.stream",
    "gistcast.eval",
    "!gistcast.codec.kernels",
)


def read() -> list[str]:
    """Import the modules; their names.

    What a named tuple is made of is annotated in names that only its own module knows: they are
    looked up there, for pdoc asks elsewhere.
    """
    import pdoc

    names = list(pdoc.extract.walk_specs(MODULES))
    for name in names:
        for found in vars(pdoc.extract.load_module(name)).values():
            if isinstance(found, type) and issubclass(found, tuple) and hasattr(found, "_fields"):
                found.__new__.__annotations__ = typing.get_type_hints(found)
    return names


def build(target: Path) -> None:
    """Write the pages; index.html is the first.

    Args:
        target: folder, made if need be.
    """
    import pdoc

    read()
    warnings.simplefilter("error")
    pdoc.render.configure(docformat="google", footer_text="gistcast")
    pdoc.pdoc(*MODULES, output_directory=target)


def main() -> None:
    """Build the reference."""
    parser = argparse.ArgumentParser(prog="python docs/api.py", description=__doc__)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("out/api"),
        metavar="DIR",
        help="(default out/api)",
    )
    args = parser.parse_args()
    build(args.output)
    print(f"{args.output}/index.html")


if __name__ == "__main__":
    main()
