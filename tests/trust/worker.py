"""Cases in a process of their own, each with a bound on its time and memory.

A case that crashes, hangs or takes too much ends its process: the next one begins behind it, and
the case is a finding.
"""

from __future__ import annotations

import gc
import json
import mmap
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

SECONDS = 2.0  #: of processor time, for a case
PATIENCE = 60.0  #: seconds by the clock, for one that waits for something
MEMORY = 512 << 20  #: bytes that a case may ask for beyond what the process had

Case = Callable[[int], str | None]  #: number -> what is wrong


@dataclass
class Outcome:
    """What came of a run.

    Attributes:
        cases: how many were run.
        findings: number of a case and what is wrong with it.
        peak: most bytes that any process had in memory beyond those at its beginning.
        slowest: seconds of processor time of the slowest case.
    """

    cases: int = 0
    findings: list[tuple[int, str]] = field(default_factory=list)
    peak: int = 0
    slowest: float = 0.0

    def __iadd__(self, other: Outcome) -> Outcome:
        self.cases += other.cases
        self.findings += other.findings
        self.peak, self.slowest = max(self.peak, other.peak), max(self.slowest, other.slowest)
        return self


def run(case: Case, numbers: range, *, seconds: float = SECONDS, memory: int = MEMORY) -> Outcome:
    """Run a case for each number; every finding is kept."""
    outcome, at = Outcome(len(numbers)), mmap.mmap(-1, 8)
    while numbers:
        for report in _process(case, numbers, at, seconds, memory):
            if "wrong" in report:
                outcome.findings.append((report["case"], report["wrong"]))
            outcome.peak = max(outcome.peak, report.get("peak", 0))
            outcome.slowest = max(outcome.slowest, report.get("slowest", 0.0))
            if "next" in report:
                numbers = numbers[report["next"] :]
    return outcome


def _process(
    case: Case, numbers: range, at: mmap.mmap, seconds: float, memory: int
) -> Iterator[dict[str, object]]:
    """Reports of one process; the last says with which index to go on."""
    reading, writing = os.pipe()
    at[:] = bytes(8)
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(reading)
            with os.fdopen(writing, "w") as out:
                _cases(
                    case,
                    numbers,
                    at,
                    seconds,
                    memory,
                    lambda r: print(json.dumps(r), file=out, flush=True),
                )
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as lines:
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)
    _, status = os.waitpid(child, 0)
    if status == 0:
        yield {"next": len(numbers)}
        return
    index = int.from_bytes(at[:], "little")
    code = os.waitstatus_to_exitcode(status)
    names = {signal.SIGPROF: f"more than {seconds:g} s", signal.SIGALRM: "it does not end"}
    why = (
        names.get(signal.Signals(-code), signal.Signals(-code).name) if code < 0 else f"exit {code}"
    )
    yield {"case": numbers[index], "wrong": why, "next": index + 1}


def _cases(
    case: Case,
    numbers: range,
    at: mmap.mmap,
    seconds: float,
    memory: int,
    tell: Callable[[dict[str, object]], None],
) -> None:
    gc.collect()  # what others left behind is not for the cases to use
    before, slowest = _peak(), 0.0
    limit = _status("VmData") + memory
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for index, number in enumerate(numbers):
        at[:] = index.to_bytes(8, "little")
        started = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, seconds)  # both end the process, in native code too
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        try:
            wrong = case(number)
        except BaseException as error:
            wrong = f"{type(error).__name__}: {error}"
        slowest = max(slowest, time.process_time() - started)
        if wrong is not None:
            tell({"case": number, "wrong": wrong})
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    tell({"peak": _peak() - before, "slowest": slowest})


def _peak() -> int:
    return _status("VmHWM")


def _status(name: str) -> int:
    """A figure of this process, in bytes."""
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(name + ":"))
