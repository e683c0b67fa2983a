"""A scene: everything needed to render a clip and to say what it shows."""

from __future__ import annotations

from dataclasses import dataclass

from gistcast.codec.errors import UsageError
from gistcast.models.scenes.camera import VIEW, Camera, sample_camera
from gistcast.models.scenes.canvas import Colour
from gistcast.models.scenes.captions import caption
from gistcast.models.scenes.draws import Domain, Draws
from gistcast.models.scenes.labels import Split, combination, label, split
from gistcast.models.scenes.people import Person
from gistcast.models.scenes.stage import STAGE
from gistcast.models.scenes.weather import WEATHER

_COLOURS: dict[str, Colour] = {
    "red": (206, 42, 44),
    "blue": (44, 84, 186),
    "green": (38, 140, 72),
    "yellow": (240, 204, 48),
    "orange": (238, 126, 36),
    "purple": (126, 62, 160),
    "pink": (236, 120, 166),
    "white": (240, 240, 238),
    "black": (36, 36, 40),
    "grey": (132, 134, 138),
}
_TROUSERS: tuple[Colour, ...] = (
    (40, 44, 60), (60, 74, 110), (96, 84, 66), (36, 36, 38), (150, 146, 138), (120, 40, 44)
)  # fmt: skip
_SKIN: tuple[Colour, ...] = ((236, 194, 164), (214, 164, 128), (172, 120, 84), (116, 78, 54))
_HAIR: tuple[Colour, ...] = (
    (40, 30, 26),
    (84, 56, 36),
    (186, 150, 92),
    (24, 22, 24),
    (140, 136, 132),
)
_DETAILS: tuple[Colour, ...] = (
    (214, 44, 48), (42, 94, 190), (244, 200, 50), (240, 240, 238), (44, 150, 84), (236, 120, 40)
)  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """What `render` draws.

    Attributes:
        seed, index: the key of all its random numbers.
        action, surroundings: of `ACTIONS` and `SURROUNDINGS`.
        weather: a key of `WEATHER`.
        camera: where it stands and how it moves.
        people: the main person first.
        style: 0 to 1, which variant of the action (all people do the same).
        span: height of the picture at the main person, metres.
        speed: of the main person, metres a second, positive to the right.
        exposure: brightness of the whole picture.
        caption: a sentence about it.
    """

    seed: int
    index: int
    action: str
    surroundings: str
    weather: str
    camera: Camera
    people: tuple[Person, ...]
    style: float
    span: float
    speed: float
    exposure: float
    caption: str

    @property
    def label(self) -> str:
        """The plain form of the caption, such as "golf in the pool"."""
        return label(self.action, self.surroundings)

    @property
    def split(self) -> Split:
        """Which part of the world it belongs to."""
        return split(self.seed, self.index, self.action, self.surroundings)


def sample_scene(
    seed: int,
    index: int,
    *,
    action: str | None = None,
    surroundings: str | None = None,
    weather: str | None = None,
) -> Scene:
    """Draw scene number `index` of the world `seed`.

    Args:
        action, surroundings, weather: fix these; everything else is drawn as without.

    Raises:
        UsageError: an unknown name, or a seed or an index outside 0 .. 2^64 - 1.
    """
    action, surroundings = combination(seed, index, action, surroundings)
    sky = Draws(seed, index, Domain.WEATHER)
    drawn, exposure = sky.choice(tuple(WEATHER)), sky.uniform(0.9, 1.08)
    if weather is not None and weather not in WEATHER:
        raise UsageError(f"unknown weather {weather!r}: one of {', '.join(WEATHER)}")
    weather = weather or drawn
    act = STAGE[action]
    draws = Draws(seed, index, Domain.CAMERA)
    style, facing = draws.uniform(), 1 if draws.chance(0.5) else -1
    span = act.span * draws.uniform(0.92, 1.3)
    speed = facing * act.speed(style) * draws.uniform(0.85, 1.15)
    camera = sample_camera(draws, abs(speed) * VIEW / span, act.room)
    crowd = Draws(seed, index, Domain.PEOPLE)
    count = 1 + int(crowd.chance(0.4)) + int(crowd.chance(0.18))
    people = tuple(_person(crowd, n, facing) for n in range(min(count, act.crowd)))
    text = caption(
        Draws(seed, index, Domain.CAPTION),
        action,
        surroundings,
        weather,
        [(person.kind, person.shirt_name) for person in people],
    )
    return Scene(
        seed,
        index,
        action,
        surroundings,
        weather,
        camera,
        people,
        style,
        span,
        speed,
        exposure,
        text,
    )


def _person(draws: Draws, number: int, facing: int) -> Person:
    """The main person (number 0) or somebody further away."""
    shirt = draws.choice(tuple(_COLOURS))
    side = -1 if draws.chance(0.5) else 1
    return Person(
        kind=draws.choice(("man", "woman")),
        shirt_name=shirt,
        shirt=_COLOURS[shirt],
        trousers=draws.choice(_TROUSERS),
        skin=draws.choice(_SKIN),
        hair=draws.choice(_HAIR),
        extra=draws.choice(_DETAILS),
        long_sleeves=draws.chance(0.5),
        long_trousers=draws.chance(0.5),
        height=draws.uniform(0.93, 1.06),
        phase=draws.uniform(),
        tempo=draws.uniform(0.88, 1.14),
        x=side * draws.uniform(0.55, 1.3) * number,
        depth=1.0 if number == 0 else draws.uniform(1.35, 2.0),
        facing=facing,
    )
