"""Things that stand about: trees, lamps, cars, ships; at home in their surroundings.

Each is drawn in view units at a place in the world and comes again every so often, so that no
journey ever runs out of trees.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gistcast.models.scenes.camera import MAIN_DEPTH, VIEW, View, haze
from gistcast.models.scenes.canvas import Canvas, Colour
from gistcast.models.scenes.draws import Draws
from gistcast.models.scenes.exact import sine
from gistcast.models.scenes.pen import Pen, darker, toward
from gistcast.models.scenes.places import Place
from gistcast.models.scenes.weather import Weather

_BARK: Colour = (92, 70, 50)
_WHITE: Colour = (240, 240, 238)
_DARK: Colour = (46, 48, 54)


def _tree(pen: Pen, draws: Draws, colour: Colour) -> None:
    height = draws.uniform(1.6, 2.4)
    pen.limb((0, 0), (0.05, height), 0.16, _BARK, 0.1)
    spots = draws.uniforms(9, 3)
    for dx, dy, tone in spots:
        centre = ((dx - 0.5) * 2.2, height + 0.3 + dy * 1.6)
        pen.disc(centre, 0.6, darker(colour, 0.75 + 0.55 * tone))


def _bush(pen: Pen, draws: Draws, colour: Colour) -> None:
    for dx, dy, tone in draws.uniforms(5, 3):
        pen.disc((dx * 1.4, 0.15 + dy * 0.3), 0.34, darker(colour, 0.7 + 0.5 * tone))


def _pine(pen: Pen, draws: Draws, colour: Colour) -> None:
    height = draws.uniform(2.0, 3.6)
    pen.limb((0, 0), (0, 0.5), 0.09, _BARK)
    for k in range(4):
        low = 0.3 + height * k / 5
        wide = 0.95 - 0.2 * k
        corners = ((-wide, low), (wide, low), (0.0, low + height * 0.42))
        pen.polygon(corners, (38 + 6 * k, 70 + 6 * k, 58 + 5 * k))
        snow = ((-wide * 0.55, low + height * 0.19), (wide * 0.3, low + height * 0.26),
                (0.0, low + height * 0.42))  # fmt: skip
        pen.polygon(snow, (240, 245, 250), alpha=0.9)


def _palm(pen: Pen, draws: Draws, colour: Colour) -> None:
    lean = draws.uniform(-0.5, 0.5)
    top = (lean, 2.9)
    pen.limb((0, 0), (lean * 0.4, 1.5), 0.12, (128, 100, 70), 0.1)
    pen.limb((lean * 0.4, 1.5), top, 0.1, (128, 100, 70), 0.08)
    for k in range(7):
        wind = 0.012 * sine(pen.times * 0.7 + k / 7)
        angle = 0.5 + (k - 3) * 0.1 + wind
        bend = toward(top, angle, 0.6)
        tip = toward(bend, angle + (k - 3) * 0.05, 0.65)
        green = (60 + 8 * (k % 3), 124, 56)
        pen.limb(top, bend, 0.06, green, 0.12)
        pen.limb(bend, tip, 0.12, green, 0.03)


def _umbrella(pen: Pen, draws: Draws, colour: Colour) -> None:
    shade = draws.choice(((214, 54, 54), (50, 110, 190), (240, 190, 50)))
    pen.limb((0, 0), (0, 1.5), 0.03, _WHITE)
    for k in range(4):
        a, b = -0.9 + 0.45 * k, -0.45 + 0.45 * k
        pen.polygon(((a, 1.3), (b, 1.3), (0.0, 1.85)), shade if k % 2 else _WHITE)


def _lamp(pen: Pen, draws: Draws, colour: Colour) -> None:
    pen.limb((0, 0), (0, 3.2), 0.05, _DARK, 0.035)
    pen.limb((0, 3.2), (0.5, 3.35), 0.04, _DARK)
    pen.limb((0.42, 3.3), (0.62, 3.32), 0.08, (250, 236, 190))


def _car(pen: Pen, draws: Draws, colour: Colour) -> None:
    paint = draws.choice(
        ((176, 40, 40), (44, 84, 150), (210, 212, 216), (52, 54, 58), (224, 176, 50))
    )
    pen.canvas.ellipse(pen.place((0, 0.02)), (1.6 * pen.scale, 0.12 * pen.scale), (20, 20, 24),
                       alpha=0.5, soft=0.5)  # fmt: skip
    pen.polygon(((-0.85, 0.7), (0.8, 0.7), (0.5, 1.2), (-0.6, 1.2)), darker(paint, 0.9))
    for a, b in ((-0.68, -0.08), (0.02, 0.62)):
        pen.polygon(((a, 0.74), (b, 0.74), (b - 0.12, 1.1), (a + 0.16, 1.1)), (70, 88, 104))
    pen.limb((-1.25, 0.5), (1.25, 0.5), 0.26, paint)
    for x in (-0.82, 0.82):
        pen.disc((x, 0.27), 0.27, (26, 26, 30))
        pen.disc((x, 0.27), 0.13, (150, 152, 158))


def _bench(pen: Pen, draws: Draws, colour: Colour) -> None:
    wood: Colour = (132, 92, 58)
    for x in (-0.6, 0.6):
        pen.limb((x, 0), (x, 0.4), 0.04, _DARK)
    for y in (0.42, 0.62, 0.78):
        pen.limb((-0.8, y), (0.8, y), 0.055, wood)


def _fence(pen: Pen, draws: Draws, colour: Colour) -> None:
    for k in range(9):
        x = (k - 4) * 0.85
        pen.limb((x, 0), (x, 0.85), 0.06, (150, 126, 96))
    for y in (0.4, 0.72):
        pen.limb((-3.6, y), (3.6, y), 0.045, (164, 140, 108))


def _post(pen: Pen, draws: Draws, colour: Colour) -> None:
    pen.limb((0, 0), (0, 1.1), 0.05, (210, 60, 50))
    pen.limb((0, 0.8), (0, 1.0), 0.055, _WHITE)


def _ship(pen: Pen, draws: Draws, colour: Colour) -> None:
    hull = draws.choice(((120, 50, 44), (52, 62, 84), (60, 60, 64)))
    pen.polygon(((-4.2, 1.0), (4.6, 1.1), (3.8, 0.0), (-3.8, 0.0)), hull)
    pen.polygon(((-3.6, 1.0), (-1.6, 1.0), (-1.6, 2.6), (-3.4, 2.6)), _WHITE)
    pen.limb((-1.0, 1.3), (3.0, 1.3), 0.35, (176, 120, 80))


def _buoy(pen: Pen, draws: Draws, colour: Colour) -> None:
    tilt = 0.02 * sine(pen.times * 0.6)
    pen.limb((0, 0.1), toward((0, 0.1), 0.5 + tilt, 0.7), 0.2, (220, 60, 44), 0.06)
    pen.limb((-0.25, 0.02), (0.25, 0.02), 0.1, (200, 50, 40))


def _chair(pen: Pen, draws: Draws, colour: Colour) -> None:
    for x in (-0.4, 0.4):
        pen.limb((x, 0), (x * 0.6, 1.7), 0.05, _WHITE)
    pen.limb((-0.35, 1.5), (0.35, 1.5), 0.09, _WHITE)
    pen.limb((-0.3, 1.5), (-0.36, 2.1), 0.07, _WHITE)


def _ladder(pen: Pen, draws: Draws, colour: Colour) -> None:
    for x in (-0.2, 0.2):
        pen.limb((x, -0.3), (x, 0.7), 0.04, (214, 220, 226))
    for y in (-0.1, 0.15):
        pen.limb((-0.2, y), (0.2, y), 0.03, (214, 220, 226))


def _hurdle(pen: Pen, draws: Draws, colour: Colour) -> None:
    for x in (-0.5, 0.5):
        pen.limb((x, 0), (x, 0.8), 0.035, (70, 72, 80))
    for k in range(4):
        a = -0.5 + 0.25 * k
        pen.limb((a + 0.04, 0.82), (a + 0.21, 0.82), 0.08, _DARK if k % 2 else _WHITE)


def _reeds(pen: Pen, draws: Draws, colour: Colour) -> None:
    for dx, dy, tone in draws.uniforms(12, 3):
        wind = 0.02 * sine(pen.times * 0.5 + tone)
        foot = ((dx - 0.5) * 1.8, 0.0)
        pen.limb(foot, toward(foot, 0.47 + 0.06 * tone + wind, 0.5 + dy * 0.7), 0.03,
                 (86 + 40 * tone, 112 + 20 * tone, 56))  # fmt: skip


def _jetty(pen: Pen, draws: Draws, colour: Colour) -> None:
    for k in range(4):
        pen.limb((k * 0.9, -0.05), (k * 0.9, 0.4), 0.07, (86, 68, 52))
    pen.polygon(((-0.3, 0.3), (3.2, 0.3), (3.2, 0.45), (-0.3, 0.45)), (136, 110, 82))


_Prop = Callable[[Pen, Draws, Colour], None]

#: name -> nearest and farthest distance (view units), painter
PROPS: dict[str, tuple[float, float, _Prop]] = {
    "tree": (7.0, 14.0, _tree),
    "bush": (8.0, 13.0, _bush),
    "pine": (8.0, 16.0, _pine),
    "palm": (8.0, 13.0, _palm),
    "umbrella": (7.0, 12.0, _umbrella),
    "lamp": (8.4, 9.0, _lamp),
    "car": (6.6, 8.2, _car),
    "bench": (6.2, 7.5, _bench),
    "fence": (9.0, 14.0, _fence),
    "post": (6.0, 12.0, _post),
    "ship": (45.0, 70.0, _ship),
    "buoy": (7.0, 14.0, _buoy),
    "chair": (9.9, 10.4, _chair),
    "ladder": (9.6, 9.8, _ladder),
    "hurdle": (5.6, 8.0, _hurdle),
    "reeds": (6.0, 9.0, _reeds),
    "jetty": (8.0, 13.0, _jetty),
}


def paint_props(canvas: Canvas, view: View, place: Place, weather: Weather, draws: Draws) -> None:
    """Paint the things of a place, far to near."""
    things = []
    for name in place.props:
        low, high, painter = PROPS[name]
        things.append((draws.uniform(low, high), draws.uniform(), painter))
    for depth, share, painter in sorted(things, key=lambda thing: -thing[0]):
        wide = VIEW * view.width / view.unit * depth / MAIN_DEPTH
        period = 1.15 * wide + 8.0
        # the repetition nearest to the middle of the picture
        middle = view.x - view.shift * depth / view.focal
        first = (share - 0.5) * 0.9 * wide
        x = first + period * np.floor((middle - first) / period + 0.5)
        origin = view.project(x, 0.0, depth)
        fog = (weather.low, float(haze(depth, weather.fog)))
        pen = Pen(canvas, origin, view.scale(depth), 1, view.times, fog)
        painter(pen, draws, place.accents[0])
