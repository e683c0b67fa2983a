"""Passages in virtual time: the clock, and what the stream makes of bad links, many times over."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import ModuleType

import pytest

from gistcast.stream import SendSettings, parse_network, virtual
from gistcast.stream.passage import Passage, pass_clips

SECONDS = 1.28
PLAYOUT = 2.5
TRACE = Path(__file__).parents[2] / "docs/results/streaming/fall-and-rise.trace"


def test_time_passes_where_nobody_works() -> None:
    async def main() -> tuple[float, float, float]:
        loop = asyncio.get_running_loop()
        before = loop.time(), time.time(), time.monotonic()
        await asyncio.gather(asyncio.sleep(3600), asyncio.sleep(60))
        return loop.time() - before[0], time.time() - before[1], time.monotonic() - before[2]

    begun = time.perf_counter()
    assert virtual.run(main()) == (3600, 3600, 3600)
    assert time.perf_counter() - begun < 5
    assert time.time() > 1.75e9  # as it was


@pytest.mark.parametrize("charge", [False, True])
def test_work_elsewhere_takes_time_if_it_is_charged(charge: bool) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 // 0)
        await loop.run_in_executor(None, sum, range(4_000_000))
        return loop.time()

    assert (virtual.run(main(), charge=charge) > 0.005) == charge


def passage(toy: ModuleType, spec: str) -> Passage:
    """48 s of clips at about 29 kbit/s."""
    source = toy.ToySource(38, seconds=SECONDS)
    network = parse_network(spec + ",delay=20ms,handshake=clean")
    run = pass_clips(
        source, network, SendSettings(), lambda _: toy.ToyDecoder(), lambda: 0.0,
        deadline=PLAYOUT - SECONDS - 0.3,
    )  # fmt: skip
    return virtual.run(run)


def shown_in_time(out: Passage) -> list[int]:
    """Clips that a player with a fixed delay shows whole, by number."""
    starts = {d.first // 8: d.at for d in out.deliveries}
    return [n for n, at in starts.items() if at <= n * SECONDS + PLAYOUT]


def test_nothing_is_late(toy: ModuleType) -> None:
    begun = time.perf_counter()
    out = passage(toy, "rate=64k")
    assert out.late_ms == 0 and len(shown_in_time(out)) == 38
    assert time.perf_counter() - begun < 24  # of 48 s


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("spec", ["loss=20%", "loss=10%,burst=4"])
def test_every_clip_is_shown_although_packets_are_lost(
    toy: ModuleType, spec: str, seed: int
) -> None:
    out = passage(toy, f"{spec},seed={seed}")
    assert out.wire_bytes > 1.1 * out.payload_bytes  # it took repairs
    assert len(shown_in_time(out)) == 38


def test_a_rate_that_falls_to_a_quarter_is_followed_within_a_clip_or_two(toy: ModuleType) -> None:
    out = passage(toy, f"trace={TRACE}")
    assert len(shown_in_time(out)) >= 32
    narrow = [fit for fit in out.fits if 9 < fit.seconds < 13]
    assert max(fit.wire_bytes for fit in narrow) < 2000


def test_a_narrow_link_that_loses_is_not_flooded_with_repairs(toy: ModuleType) -> None:
    out = passage(toy, "rate=40k,loss=10%,seed=1")
    assert len(shown_in_time(out)) >= 34  # nine of ten, all at best
    assert 8 * out.wire_bytes / (38 * SECONDS) < 40e3


@pytest.mark.parametrize("seed", range(3))
def test_a_link_that_loses_nearly_half_in_runs_lasts(toy: ModuleType, seed: int) -> None:
    out = passage(toy, f"loss=40%,burst=4,seed={seed}")  # aioice's consent would often be over
    assert out.notes["clips"] == 38 and len(shown_in_time(out)) >= 25
