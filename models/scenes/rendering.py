"""Scene -> frames.

    sky -> ground -> strips behind -> things -> people, far to near -> light -> rain, snow -> uint8

A frame depends on the scene, its number and the size alone, not on how many are rendered; see
`exact` for why the same scene is the same bytes on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.errors import UsageError
from gistcast.models.scenes.backdrop import paint_backdrop
from gistcast.models.scenes.camera import MAIN_DEPTH, VIEW, View, haze
from gistcast.models.scenes.canvas import Canvas
from gistcast.models.scenes.draws import Domain, Draws
from gistcast.models.scenes.exact import sine
from gistcast.models.scenes.ground import paint_ground
from gistcast.models.scenes.noise import Texture, fractal
from gistcast.models.scenes.pen import Pen
from gistcast.models.scenes.people import Person
from gistcast.models.scenes.places import sample_place
from gistcast.models.scenes.props import paint_props
from gistcast.models.scenes.scene import Scene
from gistcast.models.scenes.stage import STAGE
from gistcast.models.scenes.weather import (
    WEATHER,
    lit,
    paint_rain,
    paint_sky,
    paint_snowfall,
    paint_sun,
)

FPS = 25
MIN_SIDE, MAX_SIDE = 8, 2048
_CHUNK = 1 << 21  #: pixels painted at once: bounds the memory, not the result


def render(
    scene: Scene, frames: int, size: tuple[int, int], *, start: int = 0, stride: int = 1
) -> NDArray[np.uint8]:
    """Draw a scene.

    Args:
        frames: how many, at 25 a second.
        size: (width, height) in pixels.
        start: number of the first, from 0.
        stride: only every `stride`-th frame.

    Returns:
        uint8 RGB (frames, height, width, 3).

    Raises:
        UsageError: fewer than one frame, a negative start, a stride below one, or sides outside
            8 .. 2048 pixels.
    """
    width, height = size
    if frames < 1:
        raise UsageError(f"a clip has at least one frame, not {frames}")
    if start < 0:
        raise UsageError(f"frames are numbered from 0, not from {start}")
    if stride < 1:
        raise UsageError(f"a stride is at least 1, not {stride}")
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in size):
        raise UsageError(f"sides must be {MIN_SIDE} to {MAX_SIDE} pixels, not {width}x{height}")
    out = np.empty((frames, height, width, 3), np.uint8)
    painter = _Painter(scene, size)
    step = max(1, _CHUNK // (width * height))
    for first in range(0, frames, step):
        part = out[first : first + step]
        painter.paint(part, start + stride * (first + np.arange(len(part))))
    return out


class _Painter:
    """The parts of a scene that no frame changes."""

    def __init__(self, scene: Scene, size: tuple[int, int]) -> None:
        self._scene, self._size = scene, size
        self._weather = WEATHER[scene.weather]
        draws = self._draws(Domain.PLACE)
        self._place = sample_place(scene.surroundings, draws)
        self._angle = draws.uniform(-0.2, 0.2)
        noise = self._draws(Domain.TEXTURE)
        fine, broad = fractal(noise), fractal(noise, octaves=(0, 0, 0.5, 1, 2))
        self._textures = Texture(fine, self._place.grain), Texture(broad, 4 * self._place.grain)
        self._clouds = self._textures[1].tiled(2.2)

    def _draws(self, domain: Domain) -> Draws:
        return Draws(self._scene.seed, self._scene.index, domain)

    def paint(self, out: NDArray[np.uint8], numbers: NDArray[np.int64]) -> None:
        """Fill `out` with the frames of these numbers."""
        scene, weather = self._scene, self._weather
        times = numbers / FPS
        view = View(scene.camera, times, self._size, speed=scene.speed * VIEW / scene.span)
        canvas = Canvas(np.zeros(out.shape, np.float32))
        falling = self._draws(Domain.PARTICLES)
        paint_sky(canvas, view, weather, self._clouds)
        if scene.weather == "dusk":
            paint_sun(canvas, view, falling)
        paint_ground(canvas, view, self._place, weather, self._textures, self._angle)
        setting = Draws(scene.seed, scene.index, Domain.BACKDROP)
        paint_backdrop(canvas, view, self._place, weather, self._textures[0], setting)
        paint_props(canvas, view, self._place, weather, setting)
        for person in sorted(scene.people, key=lambda p: -p.depth):
            self._paint_person(canvas, view, person)
        pixels = lit(canvas.pixels, weather.light, scene.exposure)
        if scene.weather == "rain":
            paint_rain(canvas, view, falling)
        elif scene.weather == "snowfall":
            paint_snowfall(canvas, view, falling)
        np.clip(pixels + np.float32(0.5), 0, 255, out=pixels)
        out[...] = pixels.astype(np.uint8)

    def _paint_person(self, canvas: Canvas, view: View, person: Person) -> None:
        scene, act = self._scene, STAGE[self._scene.action]
        z = MAIN_DEPTH * person.depth
        x = view.main + person.x * person.depth + 0.15 * sine(view.times / 7.0 + person.phase)
        if person.depth == 1.0:
            x = view.main
        origin = view.project(x, 0.0, z)
        metre = view.scale(z) * (VIEW / scene.span * person.height)
        fog = (self._weather.low, float(haze(z, self._weather.fog)))
        reach = metre * act.reach
        canvas.ellipse(
            (origin[0] + reach * 0.15, origin[1]),
            (reach, metre * 0.1),
            (24, 28, 36),
            alpha=self._weather.shadow * (1 - fog[1]),
            soft=0.6,
        )
        act.draw(Pen(canvas, origin, metre, person.facing, view.times, fog), person, scene.style)
