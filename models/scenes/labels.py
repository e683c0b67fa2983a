"""What the captioned world consists of: actions, surroundings, and which pairs are held out."""

from __future__ import annotations

from typing import Literal

from gistcast.codec.errors import UsageError
from gistcast.models.scenes.draws import Domain, Draws

Split = Literal["train", "val", "held-out"]

ACTIONS = (
    "biking",
    "hockey",
    "jogging",
    "soccer",
    "football",
    "kite surfing",
    "golf",
    "swimming",
    "sailing",
    "water skiing",
)
SURROUNDINGS = (
    "grass",
    "snow",
    "sea",
    "pool",
    "ice",
    "street",
    "sand",
    "track",
    "park",
    "lake",
)
SPLITS: tuple[Split, ...] = ("train", "val", "held-out")

#: (action, surroundings) that training never sees: each action and each surroundings 1 to 2 times
HELD_OUT = frozenset(
    {
        ("golf", "pool"),
        ("sailing", "snow"),
        ("biking", "sea"),
        ("biking", "ice"),
        ("hockey", "sand"),
        ("hockey", "lake"),
        ("jogging", "pool"),
        ("soccer", "ice"),
        ("football", "sea"),
        ("kite surfing", "grass"),
        ("kite surfing", "snow"),
        ("swimming", "street"),
        ("swimming", "sand"),
        ("sailing", "track"),
        ("water skiing", "park"),
    }
)

VALIDATION_SHARE = 0.1  #: of the scenes that are not held out

_PLACES = {
    "grass": "on grass",
    "snow": "on snow",
    "sea": "on the sea",
    "pool": "in the pool",
    "ice": "on ice",
    "street": "in the street",
    "sand": "on sand",
    "track": "on the track",
    "park": "in the park",
    "lake": "on the lake",
}


def label(action: str, surroundings: str) -> str:
    """The plain form, such as "golf in the pool"."""
    return f"{action} {_PLACES[surroundings]}"


def combination(
    seed: int, index: int, action: str | None = None, surroundings: str | None = None
) -> tuple[str, str]:
    """Action and surroundings of a scene; what is given is kept, the rest is drawn.

    Raises:
        UsageError: an unknown name.
    """
    draws = Draws(seed, index, Domain.LABELS)
    drawn = draws.choice(ACTIONS), draws.choice(SURROUNDINGS)
    if action is not None and action not in ACTIONS:
        raise UsageError(f"unknown action {action!r}: one of {', '.join(ACTIONS)}")
    if surroundings is not None and surroundings not in SURROUNDINGS:
        raise UsageError(f"unknown surroundings {surroundings!r}: one of {', '.join(SURROUNDINGS)}")
    return action or drawn[0], surroundings or drawn[1]


def split(
    seed: int, index: int, action: str | None = None, surroundings: str | None = None
) -> Split:
    """Which part of the world a scene belongs to.

    A held-out combination is never in train or val; of the rest, one scene in ten is val.
    """
    if combination(seed, index, action, surroundings) in HELD_OUT:
        return "held-out"
    share = float(Draws(seed, index, Domain.SPLIT).uniform())
    return "val" if share < VALIDATION_SHARE else "train"
