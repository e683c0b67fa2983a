"""The ground or the water, in perspective, with what is painted on it.

screen row -> distance z -> noise looked up at (x, z) -> colour -> markings -> fog
"""

from __future__ import annotations

import numpy as np

from gistcast.models.scenes.camera import View, haze
from gistcast.models.scenes.canvas import Canvas, Colour
from gistcast.models.scenes.exact import Image
from gistcast.models.scenes.noise import Texture
from gistcast.models.scenes.places import Place
from gistcast.models.scenes.weather import Weather

_FAR = 150.0  #: nothing on the ground is told apart beyond, view units


class Plane:
    """The ground's part of the picture.

    Attributes:
        top: first row it may show in.
        x: (T, H, W) and z: (T, H), ground coordinates of its pixels, view units.
        spread: (T, H) size of a pixel on the ground: geometric mean of both directions.
        cover: (T, H) share of the row below the horizon.
    """

    def __init__(self, view: View) -> None:
        self.top = int(np.clip(np.floor(view.horizon.min() - 1), 0, view.height - 1))
        rows = np.arange(self.top, view.height) + 0.5
        drop = rows - view.horizon[:, None]
        self.cover = np.clip(drop + 0.5, 0, 1).astype(np.float32)
        reach = view.focal[:, None] * view.rise
        z = np.minimum(reach / np.maximum(drop, 0.25), _FAR)
        self.spread = (z / view.focal[:, None] * np.sqrt(z / view.rise)).astype(np.float32)
        self.pixel = (z / view.focal[:, None]).astype(np.float32)  #: across, view units
        self.deep = (z * z / reach).astype(np.float32)  #: a pixel's depth, view units
        self.z = z.astype(np.float32)
        self.x: Image = view.columns()[:, None, :] * self.z[..., None]
        self.x += view.x.astype(np.float32)[:, None, None]

    def line(self, at: float, half: float) -> Image:
        """Coverage (T, H, 1) of a line at distance `at`."""
        apart = np.abs(self.z - np.float32(at))
        width = np.maximum(self.deep, 1e-3)
        cover = np.clip((np.float32(half) - apart) / width + np.float32(0.5), 0, 1)
        cover *= np.minimum(1, np.float32(2 * half) / width)
        return np.asarray(cover[..., None])

    def beyond(self, at: float) -> Image:
        """Coverage (T, H, 1) of everything further than `at`."""
        edge = (self.z - np.float32(at)) / np.maximum(self.deep, 1e-3)
        return np.asarray(np.clip(edge + np.float32(0.5), 0, 1)[..., None])


def _rgb(colour: Colour) -> Image:
    return np.asarray(colour, np.float32)


def _over(paint: Image, cover: Image, colour: Colour) -> Image:
    paint += cover[..., None] * (_rgb(colour) - paint)
    return paint


def _mix(a: Colour, b: Colour, share: Image) -> Image:
    first = _rgb(a)
    return np.asarray(first + share[..., None] * (_rgb(b) - first))


def paint_ground(
    canvas: Canvas,
    view: View,
    place: Place,
    weather: Weather,
    textures: tuple[Texture, Texture],
    angle: float,
) -> None:
    """Paint everything below the horizon.

    Args:
        textures: fine noise and patches.
        angle: how far markings are turned from level: their slope, about -0.3 to 0.3.
    """
    plane = Plane(view)
    if place.surface == "water":
        paint = _water(plane, view, place, weather, textures)
    else:
        paint = _land(plane, place, textures)
    if place.surface == "glossy":
        near = np.clip(plane.z / 14, 0, 1)[..., None]
        paint = _over(paint, near * np.float32(0.3), weather.low)
    paint = mark(plane, view, place, paint, angle)
    veil = haze(plane.z, weather.fog).astype(np.float32)
    paint = _over(paint, veil[..., None], weather.low)
    cover = plane.cover[:, :, None, None]
    below = canvas.pixels[:, plane.top :]
    below += cover * (paint - below)


def _land(plane: Plane, place: Place, textures: tuple[Texture, Texture]) -> Image:
    fine, broad = textures
    paint = _mix(*place.ground, fine.plane(plane.x, plane.z, plane.spread))
    blot = broad.plane(plane.x, plane.z, plane.spread)
    blot = np.clip((blot - np.float32(0.45)) * np.float32(4), 0, 1)
    return _over(paint, blot * np.float32(place.patch[1]), place.patch[0])


def _water(
    plane: Plane, view: View, place: Place, weather: Weather, textures: tuple[Texture, Texture]
) -> Image:
    """Two noises that drift through each other; crests, glitter, and the sky far away."""
    fine, broad = textures
    t = view.times.astype(np.float32)
    first = fine.plane(plane.x + t[:, None, None] * np.float32(0.42), plane.z, plane.spread)
    swell = broad.plane(
        plane.x - t[:, None, None] * np.float32(0.3),
        plane.z + t[:, None] * np.float32(0.5),
        plane.spread,
    )
    height = first + swell - np.float32(1)
    steep = np.float32(1.2 + 1.6 * place.wave)
    paint = _mix(*place.ground, np.clip(height * steep + np.float32(0.5), 0, 1))
    if place.marking == "pool":
        # caustics: bright where the two noises cross
        crease = np.clip(1 - np.abs(height) * np.float32(9), 0, 1)
        paint = _over(paint, crease * crease * np.float32(0.55), (226, 250, 252))
    else:
        caps = np.clip((height - np.float32(0.62 - 0.42 * place.wave)) * np.float32(7), 0, 1)
        paint = _over(paint, caps * np.float32(0.75 * place.wave), (236, 243, 246))
    far = np.clip(plane.z / 40, 0, 1)[..., None] * np.float32(0.55)
    paint = _over(paint, far, weather.low)
    if "forest" in place.backdrop:
        # calm water shows the wood on the far shore upside down
        mirrored = np.clip((plane.z - 7) / 7, 0, 1)[..., None] * np.float32(0.6)
        mirrored = mirrored * np.clip(1 - height * np.float32(1.5), 0, 1)
        paint = _over(paint, mirrored, (36, 60, 44))
    return paint


def mark(plane: Plane, view: View, place: Place, paint: Image, angle: float) -> Image:
    """Lines, lanes and paths.

    "street": kerb, pavement and dashes; "track": lanes; "pool": lane ropes and the far edge;
    "rink": lines in the ice; "path": a gravel path.
    """
    turned = plane.z[..., None] + np.float32(angle) * plane.x
    if place.marking == "track":
        return _over(paint, _stripes(plane, turned, 0.95, 0.05), (240, 238, 232))
    if place.marking == "street":
        dash = np.clip(np.abs(np.mod(plane.x, 2.6) - 1.3) / plane.pixel[..., None] * 1.0
                       - 0.65 / plane.pixel[..., None] + 0.5, 0, 1)  # fmt: skip
        paint = _over(paint, plane.line(5.0, 0.09) * dash, (236, 234, 226))
        return _over(paint, plane.line(2.95, 0.05), (222, 220, 214))
    if place.marking == "pool":
        return _ropes(plane, view, paint)
    if place.marking == "rink":
        across = np.abs(np.mod(plane.x + angle * 3 * plane.z[..., None], 9.0) - 4.5)
        cover = np.clip((np.float32(0.16) - across) / plane.pixel[..., None] + 0.5, 0, 1)
        paint = _over(paint, cover * np.float32(0.8), (36, 84, 170))
        across = np.abs(np.mod(plane.x + angle * 3 * plane.z[..., None] + 4.5, 9.0) - 4.5)
        cover = np.clip((np.float32(0.12) - across) / plane.pixel[..., None] + 0.5, 0, 1)
        return _over(paint, cover * np.float32(0.8), (204, 44, 54))
    if place.marking == "path":
        bend = np.abs(np.mod(plane.x, 16.0) - 8.0) * np.float32(0.12)
        apart = np.abs(plane.z[..., None] - bend - np.float32(4.9))
        cover = (np.float32(0.62) - apart) / np.maximum(plane.deep[..., None], 1e-3)
        return _over(paint, np.clip(cover + 0.5, 0, 1), (206, 190, 158))
    return paint


def _stripes(plane: Plane, across: Image, gap: float, half: float) -> Image:
    """Coverage of equal lines `gap` apart."""
    apart = np.abs(np.mod(across, np.float32(gap)) - np.float32(gap / 2))
    width = np.maximum(plane.deep[..., None], 1e-3)
    cover = np.clip((np.float32(half) - apart) / width + np.float32(0.5), 0, 1)
    return np.asarray(cover * np.minimum(1, np.float32(2 * half) / width))


def _ropes(plane: Plane, view: View, paint: Image) -> Image:
    """Lane ropes of red and white floats that bob, the tiled edge and the deck beyond."""
    red = (np.mod(plane.x, np.float32(0.9)) < np.float32(0.45))[..., None]
    colour = np.where(red, _rgb((214, 46, 52)), _rgb((244, 244, 240)))
    for at in (2.9, 5.1, 7.6):
        cover = plane.line(at, 0.09)[..., None]
        paint += cover * (colour - paint)
    paint = _over(paint, plane.beyond(9.6), (214, 206, 190))
    return _over(paint, plane.line(9.4, 0.22), (34, 92, 150))
