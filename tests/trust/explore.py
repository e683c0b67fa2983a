"""One target under libFuzzer: `python tests/trust/explore.py TARGET [libFuzzer's options]`.

Needs atheris, which is no dependency of the project. Kernels are compiled code, which it does not
see into.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["gistcast"], exclude=["gistcast.codec.kernels"]):
    from targets import TARGETS


def main() -> None:
    """Run until libFuzzer's options say stop."""
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, lambda data: target(bytes(data)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
