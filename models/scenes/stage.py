"""Which function draws which action, how large the picture is then, and how fast people go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gistcast.models.scenes import land, water
from gistcast.models.scenes.pen import Pen
from gistcast.models.scenes.people import Person


@dataclass(frozen=True)
class Act:
    """An action.

    Attributes:
        draw: draws one person doing it.
        span: height of a picture of it, metres.
        speeds: metres a second, for styles below and from `turn`.
        turn: the style at which the variant changes.
        reach: half the length of its shadow, metres.
        room: how far it may drift from the middle of the picture, view units.
        crowd: how many people at most.
    """

    draw: Callable[[Pen, Person, float], None]
    span: float
    speeds: tuple[float, float]
    turn: float = 0.5
    reach: float = 0.45
    room: float = 0.5
    crowd: int = 3

    def speed(self, style: float) -> float:
        """Metres a second."""
        return self.speeds[0] if style < self.turn else self.speeds[1]


STAGE: dict[str, Act] = {
    "biking": Act(land.biking, 2.5, (4.5, 4.5), reach=0.85, room=0.35),
    "hockey": Act(land.hockey, 2.4, (4.0, 4.0), reach=0.7),
    "jogging": Act(land.jogging, 2.4, (3.0, 3.0)),
    "soccer": Act(land.soccer, 2.5, (2.6, 0.0)),
    "football": Act(land.football, 2.5, (4.4, 0.0)),
    "kite surfing": Act(water.kite_surfing, 5.0, (6.0, 6.0), reach=1.0, room=0.25, crowd=2),
    "golf": Act(land.golf, 2.7, (0.0, 0.0)),
    "swimming": Act(water.swimming, 2.45, (1.5, 1.5), reach=0.2, room=0.25),
    "sailing": Act(water.sailing, 5.4, (3.0, 3.0), reach=0.2, room=0.3, crowd=2),
    "water skiing": Act(water.water_skiing, 3.9, (7.0, 7.0), reach=0.8, room=0.12, crowd=1),
}
