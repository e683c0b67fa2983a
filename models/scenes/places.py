"""The ten surroundings: what the ground is made of, what is on it, what stands behind."""

from __future__ import annotations

from dataclasses import dataclass

from gistcast.models.scenes.canvas import Colour
from gistcast.models.scenes.draws import Draws


@dataclass(frozen=True)
class Place:
    """One look of some surroundings.

    Attributes:
        ground: the two colours its noise goes between.
        patch: a third colour, in large patches, and how much of it.
        grain: period of the fine noise, view units.
        surface: "land", "water" or "glossy" (reflects what is behind).
        wave: height of the waves, 0 to 1 (water only).
        marking: what is drawn on the ground; see `markings`.
        backdrop: strips behind, far to near; see `backdrop`.
        props: things standing about; see `props`.
        accents: colours that backdrop, markings and props pick from.
    """

    ground: tuple[Colour, Colour]
    patch: tuple[Colour, float]
    grain: float
    surface: str = "land"
    wave: float = 0.0
    marking: str = ""
    backdrop: tuple[str, ...] = ()
    props: tuple[str, ...] = ()
    accents: tuple[Colour, ...] = ()


_LEAF: tuple[Colour, ...] = ((52, 92, 42), (66, 104, 46), (44, 80, 48))
_WALLS: tuple[Colour, ...] = ((168, 120, 98), (188, 176, 158), (142, 146, 154), (200, 184, 150))

_LOOKS: dict[str, Place] = {
    "grass": Place(((84, 138, 46), (122, 172, 66)), ((150, 170, 78), 0.35), 5.0, accents=_LEAF),
    "snow": Place(((222, 230, 242), (250, 252, 255)), ((186, 204, 230), 0.5), 9.0, accents=_LEAF),
    "sea": Place(
        ((14, 62, 104), (46, 120, 158)), ((90, 160, 176), 0.3), 5.0, "water", 0.9, accents=_LEAF
    ),
    "pool": Place(
        ((52, 178, 214), (120, 224, 240)), ((30, 150, 200), 0.2), 3.2, "water", 0.35, "pool",
        accents=_WALLS,
    ),
    "ice": Place(
        ((206, 226, 238), (228, 242, 250)), ((188, 214, 232), 0.3), 8.0, "glossy", 0.0, "rink",
        accents=_WALLS,
    ),
    "street": Place(
        ((78, 79, 84), (104, 104, 108)), ((66, 66, 72), 0.5), 3.0, "land", 0.0, "street",
        accents=_WALLS,
    ),
    "sand": Place(((206, 174, 116), (236, 208, 152)), ((186, 152, 98), 0.4), 4.0, accents=_LEAF),
    "track": Place(
        ((168, 70, 50), (192, 90, 64)), ((152, 60, 46), 0.3), 2.4, "land", 0.0, "track",
        accents=_WALLS,
    ),
    "park": Place(((66, 112, 48), (92, 138, 58)), ((40, 78, 36), 0.75), 5.0, marking="path",
                  accents=_LEAF),
    "lake": Place(
        ((44, 84, 84), (78, 122, 120)), ((96, 134, 132), 0.3), 7.0, "water", 0.4, accents=_LEAF
    ),
}  # fmt: skip

_BACKDROPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "grass": (("hills",), ("hills", "hedge"), ("mountains", "hills")),
    "snow": (("peaks", "pines"), ("peaks",), ("snow hills", "pines")),
    "sea": ((), ("headland",), ()),
    "pool": (("hall",), ("stand",), ("hall",)),
    "ice": (("stand", "boards"), ("hall", "boards"), ("stand", "boards")),
    "street": (("houses", "pavement"), ("towers", "houses", "pavement")),
    "sand": (("dunes",), ("dunes", "near dunes"), ("rocks", "dunes")),
    "track": (("stand", "infield"), ("stand", "infield"), ("forest", "infield")),
    "park": (("forest",), ("towers", "forest")),
    "lake": (("mountains", "forest"), ("hills", "forest"), ("peaks", "forest")),
}

_PROPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "grass": ((), ("bush",), ("tree",), ("fence",)),
    "snow": (("pine", "pine"), ("pine",), ("pine", "post")),
    "sea": ((), ("ship",), ("buoy",), ("ship", "buoy")),
    "pool": ((), ("chair",), ("ladder",)),
    "ice": ((), ()),
    "street": (("lamp", "car"), ("car", "car"), ("lamp",), ("lamp", "car")),
    "sand": (("palm",), ("palm", "palm"), ("umbrella",), ()),
    "track": ((), ("hurdle",), ("hurdle", "hurdle")),
    "park": (("tree", "lamp", "tree"), ("tree", "bench", "tree"), ("tree", "tree", "bench")),
    "lake": (("reeds",), ("reeds", "jetty"), ("jetty",)),
}


def _shifted(colour: Colour, gain: float, tint: tuple[float, float, float]) -> Colour:
    r, g, b = (min(255.0, c * gain * t) for c, t in zip(colour, tint, strict=True))
    return r, g, b


def sample_place(surroundings: str, draws: Draws) -> Place:
    """One look of the surroundings, its colours shifted a little."""
    look = _LOOKS[surroundings]
    gain = draws.uniform(0.9, 1.08)
    tint = (draws.uniform(0.95, 1.05), draws.uniform(0.97, 1.03), draws.uniform(0.95, 1.05))
    first, second = (_shifted(c, gain, tint) for c in look.ground)
    accents = list(look.accents)
    turn = int(draws.uniform() * len(accents))
    return Place(
        ground=(first, second),
        patch=(_shifted(look.patch[0], gain, tint), look.patch[1] * draws.uniform(0.5, 1.2)),
        grain=look.grain * draws.uniform(0.8, 1.3),
        surface=look.surface,
        wave=look.wave * draws.uniform(0.7, 1.2),
        marking=look.marking,
        backdrop=draws.choice(_BACKDROPS[surroundings]),
        props=draws.choice(_PROPS[surroundings]),
        accents=tuple(accents[turn:] + accents[:turn]),
    )
