"""The ground or the water, in perspective, with what is painted on it.

screen row -> distance z -> noise looked up at (x, z) -> colour -> markings -> fog
"""

from __future__ import annotations

import numpy as np

from gistcast.models.scenes.camera import View, haze
from gistcast.models.scenes.canvas import Canvas
from gistcast.models.scenes.exact import Image
from gistcast.models.scenes.markings import MARKINGS
from gistcast.models.scenes.noise import Texture
from gistcast.models.scenes.places import Place
from gistcast.models.scenes.plane import Plane, mix, over
from gistcast.models.scenes.weather import Weather


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
        paint = over(paint, near * np.float32(0.3), weather.low)
    if place.marking:
        paint = MARKINGS[place.marking](plane, paint, angle)
    veil = haze(plane.z, weather.fog).astype(np.float32)
    paint = over(paint, veil[..., None], weather.low)
    cover = plane.cover[:, :, None, None]
    below = canvas.pixels[:, plane.top :]
    below += cover * (paint - below)


def _land(plane: Plane, place: Place, textures: tuple[Texture, Texture]) -> Image:
    fine, broad = textures
    paint = mix(*place.ground, fine.plane(plane.x, plane.z, plane.spread))
    blot = broad.plane(plane.x, plane.z, plane.spread)
    blot = np.clip((blot - np.float32(0.45)) * np.float32(4), 0, 1)
    return over(paint, blot * np.float32(place.patch[1]), place.patch[0])


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
    paint = mix(*place.ground, np.clip(height * steep + np.float32(0.5), 0, 1))
    if place.marking == "pool":
        # caustics: bright where the two noises cross
        crease = np.clip(1 - np.abs(height) * np.float32(9), 0, 1)
        paint = over(paint, crease * crease * np.float32(0.55), (226, 250, 252))
    else:
        caps = np.clip((height - np.float32(0.62 - 0.42 * place.wave)) * np.float32(7), 0, 1)
        paint = over(paint, caps * np.float32(0.75 * place.wave), (236, 243, 246))
    far = np.clip(plane.z / 40, 0, 1)[..., None] * np.float32(0.55)
    paint = over(paint, far, weather.low)
    if "forest" in place.backdrop:
        # calm water shows the wood on the far shore upside down
        mirrored = np.clip((plane.z - 7) / 7, 0, 1)[..., None] * np.float32(0.6)
        mirrored = mirrored * np.clip(1 - height * np.float32(1.5), 0, 1)
        paint = over(paint, mirrored, (36, 60, 44))
    return paint
