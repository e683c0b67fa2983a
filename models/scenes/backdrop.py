"""What stands behind: upright strips at a distance, each with an outline and a pattern."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gistcast.models.scenes.camera import View, haze
from gistcast.models.scenes.canvas import Canvas, Colour
from gistcast.models.scenes.draws import Draws
from gistcast.models.scenes.exact import Image
from gistcast.models.scenes.noise import SIDE, Texture
from gistcast.models.scenes.places import Place
from gistcast.models.scenes.plane import mix, over, rgb
from gistcast.models.scenes.weather import Weather

_CELLS = 64  #: random numbers for cells (houses, trees) repeat after so many


@dataclass
class Strip:
    """An upright strip, seen: pixels of some rows.

    Attributes:
        x: (T, W) place along the strip; y: (T, R) height above its foot, view units.
        pixel: (T, 1) size of a pixel there.
        depth: distance, view units.
        table: (64, 4) random numbers in [0, 1) for its cells.
    """

    x: Image
    y: Image
    pixel: Image
    depth: float
    table: Image
    texture: Texture

    def noise(self, scale: float, *, stretch: float = 1.0) -> Image:
        """Noise over the strip, (T, R, W); `scale` view units a period."""
        factor = np.float32(self.texture.period / scale)
        x = np.broadcast_to(self.x[:, None, :] * factor, (*self.y.shape, self.x.shape[1]))
        spread = np.broadcast_to(self.pixel * factor, self.y.shape)
        return self.texture.plane(x, self.y * factor * np.float32(stretch), spread)

    def outline(self, low: float, high: float, scale: float) -> Image:
        """A rolling outline between two heights, (T, W)."""
        factor = np.float32(self.texture.period / scale)
        x = self.x[:, None, :] * factor
        row = np.full((len(x), 1), self.table[0, 0] * SIDE, np.float32)
        wave = self.texture.plane(x, row, np.full((len(x), 1), 0.35, np.float32))[:, 0]
        return np.asarray(np.float32(low) + np.float32(high - low) * wave)

    def cells(self, width: float) -> tuple[Image, Image]:
        """Cells along the strip: random numbers (T, W, 4) and the place inside, 0 to 1, (T, W)."""
        place = self.x / np.float32(width)
        number = np.floor(place)
        return self.table[np.mod(number, _CELLS).astype(np.int64)], np.asarray(place - number)

    def upto(self, height: Image) -> Image:
        """Coverage (T, R, W) of what is lower than `height`, (T, W) or (T, 1)."""
        apart = (height[:, None, :] - self.y[..., None]) / self.pixel[..., None]
        return np.asarray(np.clip(apart + np.float32(0.5), 0, 1))


_WALLS: tuple[Colour, ...] = ((168, 120, 98), (188, 176, 158), (142, 146, 154), (200, 184, 150))

Painted = tuple[Image, Image]  #: colours (T, R, W, 3) and coverage (T, R, W)
_Painter = Callable[[Strip, Place], Painted]


def _hills(low: float, high: float, scale: float, a: Colour, b: Colour) -> _Painter:
    def paint(strip: Strip, place: Place) -> Painted:
        cover = strip.upto(strip.outline(low, high, scale))
        return mix(a, b, strip.noise(scale * 0.4)), cover

    return paint


def _peaks(snow: float, rock: Colour) -> _Painter:
    def paint(strip: Strip, place: Place) -> Painted:
        outline = strip.outline(2.0, 15.0, 70)
        cells, inside = strip.cells(9.0)
        ridge = (1 - np.abs(2 * inside - 1)) * (2 + 4 * cells[..., 0])
        outline = outline + ridge
        noise = strip.noise(16)
        colours = mix(rock, (196, 204, 214), noise * np.float32(0.5))
        level = strip.y[..., None] + (noise - np.float32(0.5)) * np.float32(7)
        white = np.clip((level - np.float32(snow)) * np.float32(0.8), 0, 1)
        return over(colours, white, (242, 246, 252)), strip.upto(outline)

    return paint


def _forest(strip: Strip, place: Place) -> Painted:
    outline = strip.outline(2.0, 3.6, 22)
    cells, inside = strip.cells(1.1)
    crown = 4 * inside * (1 - inside)
    outline = outline + crown * (np.float32(0.3) + cells[..., 0] * np.float32(0.9))
    dark, light = place.accents[0], place.accents[1]
    leaf = strip.noise(7)
    colours = mix((dark[0] * 0.55, dark[1] * 0.55, dark[2] * 0.6), light, leaf)
    shade = cells[:, None, :, 1] * np.float32(0.35)
    return over(colours, shade, (34, 58, 34)), strip.upto(outline)


def _pines(strip: Strip, place: Place) -> Painted:
    cells, inside = strip.cells(1.3)
    tall = np.float32(1.2) + cells[..., 0] * np.float32(2.6)
    # three tiers of branches: the outline of a spruce
    across = np.abs(inside - np.float32(0.5)) * 2
    outline = tall * (1 - across) + np.float32(0.25)
    tier = np.mod(strip.y, np.float32(0.6)) * np.float32(0.35)
    cover = strip.upto(outline) * np.clip(
        1 - (tier[..., None] - (1 - across[:, None, :]) * np.float32(0.5)) * 6, 0, 1
    )
    colours = mix((24, 52, 46), (58, 92, 72), strip.noise(5))
    frost = np.clip((strip.noise(3) - np.float32(0.52)) * 6, 0, 1) * np.float32(0.85)
    return over(colours, frost, (236, 242, 248)), cover


def _houses(width: float, low: float, high: float) -> _Painter:
    def paint(strip: Strip, place: Place) -> Painted:
        cells, inside = strip.cells(width)
        outline = np.float32(low) + cells[..., 0] * np.float32(high - low)
        walls = np.asarray(_WALLS, np.float32)
        pick = (cells[..., 1] * len(walls)).astype(np.int64)
        gain = (np.float32(0.75) + cells[..., 2] * np.float32(0.4))[..., None]
        base = (walls[pick] * gain)[:, None]
        columns = np.mod(inside * 4, 1)[:, None, :]
        rows = np.mod(strip.y / np.float32(0.95), 1)[..., None]
        sharp = np.float32(0.22) / strip.pixel[..., None]
        window = np.clip((np.float32(0.27) - np.abs(columns - 0.5)) * sharp * 4 + 0.5, 0, 1)
        window = window * np.clip((np.float32(0.3) - np.abs(rows - 0.55)) * sharp * 4 + 0.5, 0, 1)
        window = window * (strip.y[..., None] > 0.95)
        colours = base + window[..., None] * (rgb((58, 72, 92)) - base)
        edge = np.clip((inside - np.float32(0.04)) * 40, 0, 1)[:, None, :, None]
        return np.asarray(colours * (np.float32(0.7) + np.float32(0.3) * edge)), strip.upto(outline)

    return paint


def _stand(strip: Strip, place: Place) -> Painted:
    """Rows of spectators under a roof."""
    roof = np.full((len(strip.x), 1), 5.2, np.float32) + 0 * strip.x
    seat = np.float32(0.34)
    row = np.floor(strip.y / seat)
    column = np.floor(strip.x[:, None, :] / seat + row[..., None] * np.float32(0.37))
    number = np.mod(column * 7 + row[..., None] * 13, _CELLS).astype(np.int64)
    people = strip.table[number]
    shirts = np.float32(70) + (people[..., :3] + people[..., 3:]) * np.float32(72)
    blur = np.clip(np.float32(0.3) / strip.pixel, 0.25, 1)[..., None, None]
    colours = rgb((118, 116, 122)) + blur * (shirts - rgb((118, 116, 122)))
    head = np.clip(1 - np.abs(np.mod(strip.y / seat, 1) - 0.7) * 5, 0, 1)[..., None, None]
    colours = colours + head * np.float32(0.45) * (rgb((214, 172, 142)) - colours)
    top = np.clip((strip.y - np.float32(4.4)) / strip.pixel + 0.5, 0, 1)[..., None]
    colours = over(np.asarray(colours), top, (84, 90, 102))
    wall = np.clip((np.float32(0.7) - strip.y) / strip.pixel + 0.5, 0, 1)[..., None]
    return over(colours, wall, place.accents[0]), strip.upto(roof)


def _hall(strip: Strip, place: Place) -> Painted:
    """A long glazed wall."""
    roof = np.full_like(strip.x, 4.6)
    _, inside = strip.cells(1.6)
    bar = np.clip((np.abs(inside - 0.5) - np.float32(0.44)) * 20, 0, 1)[:, None, :]
    colours = mix((126, 168, 190), (196, 222, 232), strip.noise(9))
    colours = over(colours, bar, (224, 226, 226))
    low = np.clip((np.float32(1.3) - strip.y) / strip.pixel + 0.5, 0, 1)[..., None]
    top = np.clip((strip.y - np.float32(4.0)) / strip.pixel + 0.5, 0, 1)[..., None]
    wall = np.maximum(low, top)
    return over(colours, wall, place.accents[1]), strip.upto(roof)


def _boards(strip: Strip, place: Place) -> Painted:
    """A rink's boards: white, a yellow kick strip, advertisements, a blue rail."""
    rail = np.full_like(strip.x, 1.02)
    cells, inside = strip.cells(2.4)
    advert = (cells[..., 0] > 0.45) * np.clip((np.float32(0.4) - np.abs(inside - 0.5)) * 30, 0, 1)
    band = np.clip((np.float32(0.26) - np.abs(strip.y - 0.56)) / strip.pixel + 0.5, 0, 1)
    tint = (np.float32(40) + cells[..., 1:4] * np.float32(190))[:, None]
    share = (band[..., None] * advert[:, None, :])[..., None] * np.float32(0.85)
    white = rgb((240, 242, 244))
    colours = white + share * (tint - white)
    kick = np.clip((np.float32(0.18) - strip.y) / strip.pixel + 0.5, 0, 1)[..., None]
    top = np.clip((strip.y - np.float32(0.93)) / strip.pixel + 0.5, 0, 1)[..., None]
    colours = over(np.asarray(colours), kick, (236, 204, 60))
    return over(colours, top, (36, 74, 150)), strip.upto(rail)


def _flat(height: float, a: Colour, b: Colour, scale: float) -> _Painter:
    def paint(strip: Strip, place: Place) -> Painted:
        return mix(a, b, strip.noise(scale)), strip.upto(np.full_like(strip.x, height))

    return paint


def _hedge(strip: Strip, place: Place) -> Painted:
    outline = strip.outline(0.5, 1.3, 9)
    return mix((38, 66, 34), place.accents[0], strip.noise(5)), strip.upto(outline)


#: name -> distance (view units), greatest height, painter
STRIPS: dict[str, tuple[float, float, _Painter]] = {
    "hills": (70.0, 11.0, _hills(2.0, 11.0, 120, (82, 118, 82), (122, 152, 100))),
    "snow hills": (60.0, 11.0, _hills(2.0, 11.0, 100, (206, 218, 236), (248, 250, 255))),
    "mountains": (110.0, 28.0, _peaks(11.0, (104, 112, 128))),
    "peaks": (100.0, 28.0, _peaks(5.0, (112, 118, 132))),
    "headland": (120.0, 9.0, _hills(-4.0, 9.0, 200, (70, 92, 96), (96, 116, 108))),
    "forest": (24.0, 5.0, _forest),
    "pines": (22.0, 4.4, _pines),
    "hedge": (26.0, 1.4, _hedge),
    "dunes": (34.0, 4.0, _hills(0.5, 4.0, 60, (204, 172, 116), (238, 212, 160))),
    "near dunes": (17.0, 1.3, _hills(-0.3, 1.3, 26, (196, 166, 112), (230, 204, 150))),
    "rocks": (70.0, 10.0, _hills(-1.0, 10.0, 60, (150, 110, 84), (188, 144, 108))),
    "houses": (13.0, 7.6, _houses(3.4, 3.6, 7.4)),
    "towers": (46.0, 20.0, _houses(8.0, 8.0, 20.0)),
    "pavement": (9.0, 0.16, _flat(0.14, (150, 148, 144), (172, 170, 166), 3.0)),
    "stand": (15.0, 5.3, _stand),
    "infield": (12.0, 0.3, _flat(0.28, (70, 128, 50), (100, 156, 66), 4.0)),
    "hall": (16.0, 4.7, _hall),
    "boards": (8.5, 1.1, _boards),
}


def paint_backdrop(
    canvas: Canvas, view: View, place: Place, weather: Weather, texture: Texture, draws: Draws
) -> None:
    """Paint the strips behind, far to near, over sky and ground."""
    for name in place.backdrop:
        depth, height, painter = STRIPS[name]
        table = draws.uniforms(_CELLS, 4).astype(np.float32)
        offset = draws.uniform(0.0, 500.0)
        scale = view.scale(depth)
        foot = view.horizon + scale * view.rise
        top = max(0, int(np.floor((foot - scale * height).min())) - 1)
        bottom = min(view.height, int(np.ceil(foot.max())) + 1)
        if top >= bottom:
            continue
        rows = np.arange(top, bottom) + 0.5
        y = ((foot[:, None] - rows) / scale[:, None]).astype(np.float32)
        x = view.columns() * np.float32(depth) + view.x.astype(np.float32)[:, None]
        x += np.float32(offset)
        pixel = (1.0 / scale).astype(np.float32)[:, None]
        strip = Strip(x, y, pixel, depth, table, texture)
        colours, cover = painter(strip, place)
        cover = cover * np.clip(y / pixel + np.float32(0.5), 0, 1)[..., None]
        veil = np.float32(haze(depth, weather.fog))
        colours = colours + veil * (rgb(weather.low) - colours)
        below = canvas.pixels[:, top:bottom]
        below += cover[..., None] * (colours - below)
