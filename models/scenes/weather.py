"""Weather: the sky, the light, the fog, and what falls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gistcast.models.scenes.camera import View
from gistcast.models.scenes.canvas import Canvas, Colour
from gistcast.models.scenes.draws import Draws
from gistcast.models.scenes.exact import Image, fraction, sine
from gistcast.models.scenes.noise import Texture


@dataclass(frozen=True)
class Weather:
    """One kind of weather.

    Attributes:
        zenith, low: colours of the sky above and at the horizon.
        clouds: share of the sky they cover; `cloud` their colour.
        light: the whole picture is multiplied by this.
        fog: how fast things fade with distance, an eighth of the view's width.
        shadow: strength of the shadow under people.
    """

    zenith: Colour
    low: Colour
    clouds: float
    cloud: Colour
    light: Colour
    fog: float
    shadow: float


WEATHER = {
    "sun": Weather(
        (64, 128, 212), (176, 210, 238), 0.25, (250, 250, 252), (1.04, 1.02, 0.98), 0.006, 0.42
    ),
    "clouds": Weather(
        (136, 152, 172), (196, 204, 212), 0.7, (222, 226, 230), (0.9, 0.92, 0.94), 0.009, 0.2
    ),
    "rain": Weather(
        (92, 100, 112), (142, 150, 158), 0.8, (116, 122, 132), (0.74, 0.78, 0.84), 0.022, 0.12
    ),
    "snowfall": Weather(
        (176, 184, 196), (214, 219, 226), 0.6, (204, 210, 218), (0.9, 0.93, 0.98), 0.03, 0.14
    ),
    "fog": Weather(
        (196, 200, 204), (208, 211, 213), 0.2, (206, 208, 210), (0.94, 0.95, 0.96), 0.085, 0.1
    ),
    "dusk": Weather(
        (74, 66, 118), (255, 164, 98), 0.4, (226, 122, 108), (0.86, 0.7, 0.67), 0.008, 0.24
    ),
}


def paint_sky(canvas: Canvas, view: View, weather: Weather, clouds: Texture) -> None:
    """Fill the picture above the horizon (and a little below) with sky."""
    frames, height, width, _ = canvas.pixels.shape
    bottom = min(height, max(1, int(np.ceil(view.horizon.max())) + 1))
    rows = np.arange(bottom) + 0.5
    # 0 at the horizon, 1 a shorter side above it
    above = (view.horizon[:, None] - rows) / view.unit
    share = np.clip(above * 1.8, 0, 1).astype(np.float32)[..., None]
    low, zenith = np.asarray(weather.low, np.float32), np.asarray(weather.zenith, np.float32)
    gradient = low + share * (zenith - low)
    x = np.broadcast_to(view.columns()[:, None, :], (frames, bottom, width))
    drift = (view.times * 0.006).astype(np.float32)[:, None, None]
    spread = np.full((frames, bottom), 0.012, np.float32)
    cover = clouds.plane(x + drift, (above * 2.2 + 7).astype(np.float32), spread)
    edge = np.float32(0.78 - 0.45 * weather.clouds)
    cover = np.clip((cover - edge) * np.float32(4.0), 0, 1) * np.float32(0.85)
    cover *= np.clip(above * 6 + 0.2, 0, 1).astype(np.float32)[..., None]
    cloud = np.asarray(weather.cloud, np.float32)
    sky = gradient[:, :, None, :] + cover[..., None] * (cloud - gradient[:, :, None, :])
    canvas.pixels[:, :bottom] = sky


def paint_sun(canvas: Canvas, view: View, draws: Draws) -> None:
    """The low sun of dusk."""
    column = view.width / 2 + view.shift + view.focal * draws.uniform(-0.35, 0.35)
    row = view.horizon - view.unit * draws.uniform(0.03, 0.12)
    for size, alpha in ((0.22, 0.35), (0.1, 0.6)):
        reach = view.unit * size
        canvas.ellipse((column, row), (reach, reach), (255, 214, 150), alpha=alpha, soft=1.0)
    canvas.capsule((column, row), (column, row), view.unit * 0.035, (255, 232, 180), shaded=False)


def paint_rain(canvas: Canvas, view: View, draws: Draws) -> None:
    """Streaks as long as a drop falls in half a frame."""
    count, length = 80, 0.08 * view.unit
    # a streak is a row of beads, dense enough to be a line at any size
    beads = max(6, int(length))
    start = draws.uniforms(3, count)[:, :, None]
    slant = draws.uniform(-0.35, 0.35)
    depth = 0.5 + start[2]
    fall = fraction(start[1] + view.times * 2.3 * depth)
    tall = view.height + 0.3 * view.unit
    top = fall * tall - 0.15 * view.unit
    x = start[0] * 1.6 * view.width - 0.3 * view.width + slant * top
    step = length / beads * depth
    bead = np.arange(beads)[:, None, None]
    xs = (x + bead * step * slant).reshape(-1, len(view.times))
    ys = (top + bead * step).reshape(-1, len(view.times))
    radius = np.broadcast_to(0.0055 * view.unit * depth, x.shape)
    radius = np.broadcast_to(radius, (beads, *x.shape)).reshape(-1, len(view.times))
    canvas.specks(xs, ys, radius, np.full_like(xs, 0.42), (208, 216, 226))


def paint_snowfall(canvas: Canvas, view: View, draws: Draws) -> None:
    """Flakes at many distances, swaying."""
    count = 150
    start = draws.uniforms(4, count)[:, :, None]
    depth = 0.25 + start[2] * start[2]
    wind = draws.uniform(-0.25, 0.25)
    fall = fraction(start[1] + view.times * 0.5 * depth)
    sway = 0.025 * sine(view.times * (0.5 + start[3]) + start[0])
    across = fraction(start[0] + sway + wind * view.times * depth)
    x = (across * 1.1 - 0.05) * view.width
    y = (fall * 1.1 - 0.05) * view.height
    radius = 0.011 * view.unit * depth + 0.0 * x
    canvas.specks(x, y, radius, np.full_like(x, 0.92), (250, 251, 253))


def lit(pixels: Image, light: Colour, exposure: float) -> Image:
    """Pixels under the weather's light, in place; `exposure` is the camera's."""
    pixels *= np.asarray([c * exposure for c in light], np.float32)
    return pixels
