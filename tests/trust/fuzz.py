"""Bytes that nobody wrote, into everything that reads them: `python tests/trust/fuzz.py`.

    corpus and seeds --one to four mutations, by a counted generator--> a case --> target

Batches are numbered, and the number of a batch is the seed of its cases: a run can be had again.
With `--explore SECONDS` and atheris at hand, libFuzzer looks for inputs that reach new lines
instead, and what it keeps goes to `corpus/`, one input a line in base64.
"""

from __future__ import annotations

import argparse
import base64
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from targets import TARGETS
from worker import Outcome, run

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
TOTAL = sum(target.share for target in TARGETS.values())
_INTERESTING = (0, 1, 2, 0x0F, 0x10, 0x7F, 0x80, 0x81, 0xFE, 0xFF)
_LONGEST = 4096  # bytes of a case
_KEPT = 150  # inputs of a target that are saved
_KEPT_BYTES = 600  # of an input


@cache
def corpus(name: str) -> tuple[bytes, ...]:
    """Inputs to mutate: the target's own seeds and those that were saved."""
    path = CORPUS / f"{name}.txt"
    lines = path.read_text().split() if path.exists() else []
    return (*TARGETS[name].seeds(), *map(base64.b64decode, lines))


def mutate(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Change data in one to four places; `other` is what pieces are taken from."""
    out = bytearray(data)
    for _ in range(1 + int(draw.random() * 4)):
        kind, at = int(draw.random() * 8), int(draw.random() * (len(out) + 1))
        if kind == 0 and at < len(out):
            out[at] ^= 1 << int(draw.random() * 8)
        elif kind == 1 and at < len(out):
            out[at] = int(draw.random() * 256)
        elif kind == 2 and at < len(out):
            out[at] = _INTERESTING[int(draw.random() * len(_INTERESTING))]
        elif kind == 3:
            out[at:at] = draw.randbytes(1 + int(draw.random() * 8))
        elif kind == 4:
            del out[at : at + 1 + int(draw.random() * 8)]
        elif kind == 5:
            del out[at:]
        elif kind == 6:
            start = int(draw.random() * (len(other) + 1))
            out[at:at] = other[start : start + 1 + int(draw.random() * 32)]
        else:
            out[at:] = other[min(at, len(other)) :]
    return bytes(out[:_LONGEST])


def cases_of(name: str, batch: int) -> Iterator[bytes]:
    """The cases of a batch."""
    inputs, draw = corpus(name), random.Random(f"{name} {batch}")
    for _ in range(TARGETS[name].batch):
        first, other = (inputs[int(draw.random() * len(inputs))] for _ in range(2))
        yield mutate(first, other, draw)


def run_batch(name: str, batch: int) -> str | None:
    """Run a batch: what is wrong with the first case that is a finding."""
    for data in cases_of(name, batch):
        try:
            TARGETS[name](data)
        except Exception as error:
            return f"{type(error).__name__}: {error}: {data.hex()}"
    return None


def fuzz(name: str, cases: int, first: int = 0) -> Outcome:
    """So many cases of a target, from batch `first` on."""
    for data in corpus(name):
        TARGETS[name](data)  # kernels are ready before the clock runs
    batch = TARGETS[name].batch
    outcome = run(lambda k: run_batch(name, k), range(first, first + -(-cases // batch)))
    outcome.cases *= batch
    return outcome


def explore(name: str, seconds: int) -> None:
    """Let libFuzzer look for inputs that reach new lines, and save the shortest."""
    with tempfile.TemporaryDirectory() as folder:
        seeds = {f"seed-{index}": data for index, data in enumerate(corpus(name))}
        for file, data in seeds.items():
            Path(folder, file).write_bytes(data)
        limits = [f"-max_len={_KEPT_BYTES}", "-timeout=5", f"-max_total_time={seconds}"]
        options = ["-rss_limit_mb=2048", "-seed=1", "-print_final_stats=1", *limits]
        done = subprocess.run(
            [sys.executable, str(HERE / "explore.py"), name, folder, *options],
            stderr=subprocess.PIPE,
            text=True,
        )
        print("\n".join(done.stderr.splitlines()[-6:]))
        if done.returncode:
            sys.exit(f"{name}: a finding, or no atheris")
        found = [path.read_bytes() for path in Path(folder).iterdir() if path.name not in seeds]
    inputs = sorted(found, key=lambda data: (len(data), data))
    CORPUS.mkdir(exist_ok=True)
    lines = [base64.b64encode(data).decode() for data in inputs[:_KEPT] if data]
    (CORPUS / f"{name}.txt").write_text("\n".join(lines) + "\n")
    print(f"{name}: {len(inputs)} inputs, {len(lines)} kept")


def main() -> None:
    """Run ten million cases, or some."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("targets", nargs="*", default=list(TARGETS))
    parser.add_argument("--scale", type=float, default=1.0, help=f"of {TOTAL} cases")
    parser.add_argument("--explore", type=int, metavar="SECONDS", help="a target, with atheris")
    args = parser.parse_args()
    total = Outcome()
    for name in args.targets:
        if args.explore:
            explore(name, args.explore)
            continue
        started = time.monotonic()
        outcome = fuzz(name, round(args.scale * TARGETS[name].share))
        seconds = time.monotonic() - started
        total += outcome
        print(
            f"{name:10} {outcome.cases:9} cases, {outcome.cases / seconds:9.0f} a second, "
            f"{len(outcome.findings)} findings, {outcome.peak / 1e6:5.1f} MB more",
            flush=True,
        )
        for number, wrong in outcome.findings[:5]:
            print(f"    batch {number}: {wrong}")
    print(f"{total.cases} cases, {len(total.findings)} findings")
    sys.exit(bool(total.findings))


if __name__ == "__main__":
    main()
