"""Which lines of the reading side the cases reach: `python -W ignore tests/trust/cover.py`.

    fuzz.py, structured.py, delivery.py --a hundredth of each--> lines that ran
    small streams --another process, where kernels are plain Python--> lines of kernels that ran

Counted are lines of functions, in the modules that read what strangers send; what only writers call
is left out by name.
"""

from __future__ import annotations

import argparse
import base64
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import delivery
import fuzz
import structured
from targets import TARGETS, ToyGist

from gistcast.codec.errors import GistcastError
from gistcast.codec.file import decode_video

#: module -> functions that only writers call
MODULES: dict[str, set[str]] = {
    "codec.packet": set(),
    "codec.header": set(),
    "codec.file": {"encode_packets", "encode_video", "index_chunk"},
    "codec.decoder": set(),
    "codec.text": {"encode_text", "_head"},
    "codec.textmodel": {"encode_letters", "sample_counts"},
    "codec.latent": {"encode_latent", "check_frequencies", "_flags"},
    "codec.golomb": {"put_golomb"},
    "codec.motion": {"put_motion", "_bits"},
    "codec.rangecoder": {"FlagEncoder", "_shortest"},
    "codec.residual": {"ResidualEncoder", "Chosen", "_costs", "group_contexts", "group_signs"},
    "codec.layout": set(),
    "codec.context": {"Symbols.presence"},
    "codec.plan": {"Plan.flatten"},
    "codec.sketch": {"transform_clip"},
    "codec.warp": {"Warp.to_canvas", "Warp.canvas_of", "Warp.seen", "Warp._corrected"},
    "codec.transform": {"forward"},
    "codec.av1": {"BitReader", "parse_sequence", "split"},
    "codec.av1frame": set(),
    "codec.video": {"Units", "encode", "_extended", "_parameters"},
    "codec.videocoder": {"_Packing", "_put_length", "pack"},
    "codec.kernels.range": {"write_flags"},
    "codec.kernels.residual": {"group_contexts", "group_signs", "levels_of"},
    "codec.kernels.context": set(),
    "codec.kernels.levels": {"_put", "_put_escape", "flags_of_level", "put_levels"},
    "codec.kernels.network": set(),
    "codec.kernels.signs": set(),
    "codec.kernels.spline": set(),
    "codec.kernels.wavelet": {"split"},
    "stream.messages": set(),
    "stream.assemble": set(),
    "stream.fragment": {
        "xor_messages",
        "cut_clip",
        "_base_bytes",
        "_holding",
        "_pieces",
        "_with_parity",
    },
    "stream.network.sdp": set(),
    "stream.signalling.trickle": set(),
}

KERNELS = "codec.kernels."
_SAMPLES, _BYTES = 1500, 500  # of a stream that plain kernels decode in a second or so
_PATIENCE = 2.0  # seconds for a case

Lines = dict[str, set[int]]  # by file


class _LateError(Exception):
    """A case takes longer than plain kernels can be waited for."""


def _late(*_: object) -> None:
    raise _LateError


class Tracer:
    """Collects the lines that run in some files."""

    def __init__(self, files: set[str]) -> None:
        self.reached: Lines = {file: set() for file in files}
        self._left: dict[CodeType, set[int]] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        """As `sys.settrace` wants it; leaves functions alone of which every line has run."""
        del event, argument
        code = frame.f_code
        if code.co_filename not in self.reached:
            return None
        if code not in self._left:
            self._left[code] = {line for _, _, line in code.co_lines() if line}
        left, reached = self._left[code], self.reached[code.co_filename]

        def local(frame: FrameType, event: str, argument: Any) -> Any:
            del event, argument
            reached.add(frame.f_lineno)
            left.discard(frame.f_lineno)
            return local if left else None

        return local if left else None

    def during(
        self, run: Callable[..., object], *arguments: object, patience: float = _PATIENCE
    ) -> None:
        """Trace one call, for `patience` seconds; what it raises on purpose is nothing new."""
        signal.setitimer(signal.ITIMER_REAL, patience)
        sys.settrace(self)
        try:
            with suppress(GistcastError, _LateError):
                run(*arguments)
        finally:
            sys.settrace(None)
            signal.setitimer(signal.ITIMER_REAL, 0)


def functions(code: CodeType, outer: str = "") -> Iterator[tuple[str, set[int]]]:
    """Qualified name and lines of each function below a module's code, the `def` left out."""
    for inner in code.co_consts:
        if not isinstance(inner, CodeType) or inner.co_name.startswith("<"):
            continue
        name = outer + inner.co_name
        if inner.co_flags & 0x01:  # CO_OPTIMIZED: a function, not a class
            lines = {line for _, _, line in inner.co_lines() if line}
            yield name, {line for line in lines if line > inner.co_firstlineno}
        yield from functions(inner, name + ".")


def countable(module: str, path: str) -> set[int]:
    """Lines of a module that count."""
    out: set[int] = set()
    for name, lines in functions(compile(Path(path).read_text(), path, "exec")):
        if name.split(".")[0] not in MODULES[module] and name not in MODULES[module]:
            out |= lines
    return out


def forget(modules: list[ModuleType]) -> None:
    """Empty every cache, so that what fills it is seen to run."""
    for module in modules:
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


def compiled(tracer: Tracer, scale: float) -> list[bytes]:
    """A part of everything; returns small streams for plain kernels."""
    for name, target in TARGETS.items():
        tracer.during(fuzz.corpus, name)
        for data in fuzz.corpus(name):
            tracer.during(target, data)
        batches = max(1, round(scale * target.share / 100 / target.batch))
        for batch in range(batches):
            for data in fuzz.cases_of(name, batch):
                tracer.during(target, data)
        print(f"{name}: {batches * target.batch} cases", file=sys.stderr, flush=True)
    small = []
    for number in range(round(100 * scale)):
        stream = structured.Stream(number)  # coded without being traced
        tracer.during(stream.check)
        data, _ = stream._file(stream.packets)
        size = sum(clip.y.size for clip in stream.clips)
        moving = any(decoded.motion for decoded in stream.whole)  # these are few
        if max(size / _SAMPLES, len(data) / _BYTES) < (3 if moving else 1):
            small.append(data)
        for damaged in (data, data[: len(data) * 2 // 3], data[:-9] + b"\xff" + data[-8:]):
            tracer.during(_decode, damaged)
            tracer.during(_decode, damaged, "latent")
    for number in range(round(250 * scale)):
        for way in (delivery.Stream(number).fair, delivery.Stream(number).hostile):
            tracer.during(way)
    return small


def _decode(data: bytes, layers: str = "residual") -> None:
    for _ in decode_video(data, ToyGist(), layers=layers):
        pass


def plain(tracer: Tracer, streams: list[bytes]) -> None:
    """Streams whole and cut, and the first cases of residuals and motion."""
    for data in streams:
        tracer.during(_decode, data, patience=20)
        tracer.during(_decode, data[: len(data) * 2 // 3])
    for name in ("motion", "residual"):
        for data in [*fuzz.corpus(name)[::3], *fuzz.cases_of(name, 0)]:
            tracer.during(TARGETS[name], data)


def _plain_lines(streams: list[bytes]) -> Lines:
    """What `plain` reaches, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--plain"],
        input="\n".join(base64.b64encode(data).decode() for data in streams),
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {file: set(lines) for file, lines in json.loads(done.stdout).items()}


def main() -> None:
    """Print the table, and the lines that nothing reached."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--scale", type=float, default=1.0, help="of a hundredth of all cases")
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    signal.signal(signal.SIGALRM, _late)
    modules = {name: importlib.import_module(f"gistcast.{name}") for name in MODULES}
    forget(list(modules.values()))
    files = {name: str(module.__file__) for name, module in modules.items()}
    tracer = Tracer(set(files.values()))
    if args.plain:
        plain(tracer, [base64.b64decode(line) for line in sys.stdin])
        print(json.dumps({file: sorted(lines) for file, lines in tracer.reached.items()}))
        return
    plain_lines = _plain_lines(compiled(tracer, args.scale))
    for name, path in files.items():
        if name.startswith(KERNELS):
            tracer.reached[path] = plain_lines[path]
    _print_table(files, tracer.reached)


def _print_table(files: dict[str, str], reached: Lines) -> None:
    missing, seen_all, lines_all = list[str](), 0, 0
    for name, path in files.items():
        lines = countable(name, path)
        seen = lines & reached[path]
        seen_all, lines_all = seen_all + len(seen), lines_all + len(lines)
        print(f"{name:28} {len(seen):4} of {len(lines):4} lines, {len(seen) / len(lines):6.1%}")
        source = Path(path).read_text().split("\n")
        missing += [f"{name}:{line}: {source[line - 1].strip()}" for line in sorted(lines - seen)]
    print(f"{'all':28} {seen_all:4} of {lines_all:4} lines, {seen_all / lines_all:6.1%}\n")
    print("\n".join(missing))


if __name__ == "__main__":
    main()
