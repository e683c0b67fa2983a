"""Which points of a curve are done."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gistcast.codec.errors import UsageError
from gistcast.eval.walk import Climb, Fit, Walk, within


def follow(walk: Walk, size_of: dict[float, int]) -> list[float]:
    """The points that a walk visits."""
    visited = []
    while (point := walk.point()) is not None:
        visited.append(point)
        walk.landed(size_of[point])
    return visited


def test_a_climb_ends_with_the_first_payload_beyond_the_ceiling() -> None:
    sizes = {51.0: 100, 47.0: 200, 43.0: 400, 39.0: 800}
    assert follow(Climb(list(sizes), 250), sizes) == [51, 47, 43]
    assert follow(Climb(list(sizes), 1e9), sizes) == list(sizes)


@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=40),
    st.lists(st.integers(1, 2000), min_size=1, max_size=4),
    st.booleans(),
)
def test_the_finest_point_within_each_budget_is_found(
    steps: list[int], budgets: list[int], falling: bool
) -> None:
    first, last = (len(steps), 1) if falling else (1, len(steps))
    grid = Fit([first, last], budgets).grid
    sizes = {point: sum(steps[: at + 1]) for at, point in enumerate(grid)}
    visited = follow(Fit([first, last], budgets), sizes)
    assert len(visited) == len(set(visited))  # nothing is coded twice
    assert len(visited) <= (1 + math.ceil(math.log2(len(grid) + 1))) * len(set(budgets))
    found = within([sizes[point] for point in visited], budgets)
    for budget in budgets:
        best = max((size for size in sizes.values() if size <= budget), default=None)
        assert found.get(budget) == best


def test_sizes_that_do_not_grow_still_give_something_that_fits() -> None:
    sizes = {1.0: 100, 2.0: 300, 3.0: 250, 4.0: 260, 5.0: 900}
    visited = follow(Fit([1, 5], [280]), sizes)
    assert 100 <= within([sizes[p] for p in visited], [280])[280] <= 280


def test_a_budget_is_at_least_a_byte() -> None:
    with pytest.raises(UsageError, match="budgets"):
        Fit([1, 2], [0])
