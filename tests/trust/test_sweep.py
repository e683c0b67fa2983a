"""A part of `sweep.py` and of what it stands on; the figures of the whole are in docs/trust.md."""

from __future__ import annotations

import hashlib
import os
import signal
import time

import numpy as np
import pytest
import sweep
import worker


def test_a_worker_survives_what_its_cases_do() -> None:
    """A crash, a hang in native code, too much memory, and an error: each is a finding."""

    def case(number: int) -> str | None:
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 3:
            hashlib.pbkdf2_hmac("sha256", b"", b"", 50_000_000)  # seconds without Python
        if number == 5:
            np.ones(2 << 30, np.uint8)  # more than earlier tests can have left free in the heap
        if number == 6:
            raise ValueError("six")
        if number == 7:
            end = time.process_time() + 5
            while time.process_time() < end:
                pass
        return "eight" if number == 8 else None

    outcome = worker.run(case, range(1, 10), seconds=0.3, memory=64 << 20)
    assert outcome.cases == 9
    found = dict(outcome.findings)
    assert "MemoryError" in found.pop(5, "nothing"), outcome
    assert found == {
        2: "SIGKILL",
        3: "more than 0.3 s",
        6: "ValueError: six",
        7: "more than 0.3 s",
        8: "eight",
    }


@pytest.mark.parametrize("name", sweep.FILES)
def test_a_part_of_the_sweep(name: str) -> None:
    sample = sweep.Sample(name)
    for kind, (count, case) in sample.kinds().items():
        share = {"bytes": 100, "cuts": 60, "sealed": 20, "headers": 20}[kind]
        step = max(1, count // share) | 1  # odd, so that it meets other values of other bytes
        outcome = worker.run(case, range(0, count, step))
        assert outcome.cases > min(count, share) // 2 and not outcome.findings


def test_the_sweep_notices() -> None:
    """A reader that took damaged packets would be found out."""
    sample = sweep.Sample("v2/layers-64")
    sample.symbols[1] = "another"
    assert sample.cut(len(sample.data) - 1) == "clip 1 is not what it was"
    assert sample.damaged_byte(len(sample.parsed.header_bytes), 0, 1) is not None
