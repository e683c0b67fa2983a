"""Where the camera is and looks, frame by frame.

The world is measured in view units: the picture's shorter side spans `VIEW` of them at the main
person's distance, whatever the action, so that surroundings are drawn to the picture's scale and
tell nothing about the action. x is to the right, y up, z away from the camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gistcast.models.scenes.draws import Draws
from gistcast.models.scenes.exact import Array, Image, Value, sine, smooth

VIEW = 3.0  #: view units across the shorter side at the main person
FOCAL = 1.3  #: focal length, shorter sides
MAIN_DEPTH = FOCAL * VIEW
MOTIONS = ("static", "follow", "pan", "zoom in", "zoom out", "handheld")


@dataclass(frozen=True)
class Camera:
    """A camera and how it moves.

    Attributes:
        motion: one of `MOTIONS`.
        horizon: height of the horizon in the picture, 0 (top) to 1.
        foot: height at which the main person stands, 0 (top) to 1.
        sway: amplitude of the main person's drift across the picture, view units.
        phase: where the drift starts, turns.
        shake: amplitude of the unsteady hand, shorter sides.
    """

    motion: str
    horizon: float
    foot: float
    sway: float
    phase: float
    shake: float


def sample_camera(draws: Draws, speed: float, room: float) -> Camera:
    """A camera that keeps something in the picture.

    Args:
        speed: how fast it is, view units a second.
        room: how far it may be from the middle, view units.
    """
    motion = draws.choice(MOTIONS)
    horizon, foot = draws.uniform(0.26, 0.4), draws.uniform(0.82, 0.9)
    sway, phase = draws.uniform(0.2, 1.0) * room, draws.uniform()
    shake = draws.uniform(0.006, 0.016)
    # what is faster would leave a still camera's picture at once
    if motion == "static" and speed > 0.6 + 4 * room:
        motion = "pan"
    return Camera(motion, horizon, foot, sway, phase, shake if motion == "handheld" else 0.0)


class View:
    """A camera's projection at some moments, for pictures of one size.

    Attributes:
        times: seconds, (T,).
        width, height, unit: of the picture and its shorter side, pixels.
        focal, horizon, shift, x: focal length, the horizon's row, the picture's sideways shift
            (pixels), the camera's place (view units); (T,) each.
        main: where the main person is, view units, (T,).
    """

    def __init__(
        self, camera: Camera, times: Array, size: tuple[int, int], *, speed: float
    ) -> None:
        """`speed` is the main person's, view units a second, signed; `size` (width, height)."""
        self.times = times
        self.width, self.height = size
        self.unit = float(min(size))
        self.rise = (camera.foot - camera.horizon) * VIEW  #: height of the camera, view units
        drift = camera.sway * sine(times / 5.3 + camera.phase)
        still = times * 0.0
        path = speed * (times - 0.6)
        zoom, self.x, self.shift = still + 1.0, still, still
        if camera.motion == "static":
            # who leaves the picture comes in again on the other side
            half = VIEW / 2 * self.width / self.unit + 1.0
            path = path + camera.sway * 0.3
            path = path - 2 * half * np.floor((path + half) / (2 * half))
        else:
            self.x = path - drift
        if camera.motion.startswith("zoom"):
            way = 1.0 if camera.motion == "zoom in" else -1.0
            zoom = 1.0 + way * 0.22 * sine(times / 6.0 - 0.1)
        self.focal = FOCAL * self.unit * zoom
        if camera.motion == "pan":
            self.x = still
            self.shift = -self.focal * (path - drift) / MAIN_DEPTH
        self.main = path
        # about the middle of the picture, where zooming leaves things in place
        level = self.height / 2 + self.unit * (camera.horizon - 0.5) * zoom
        hand = camera.shake * self.unit
        tremble = sine(times * 1.13 + camera.phase) + 0.5 * sine(times * 2.71 + 3 * camera.phase)
        nod = sine(times * 1.37 + 2 * camera.phase) + 0.5 * sine(times * 3.07 + camera.phase)
        self.shift = self.shift + hand * tremble
        self.horizon = level + hand * nod

    def project(self, x: Value, y: Value, z: Value) -> tuple[Array, Array]:
        """Pixel coordinates (column, row) of a point in the world."""
        column = self.width / 2 + self.shift + self.focal * (x - self.x) / z
        row = self.horizon + self.focal * (self.rise - y) / z
        return column, row

    def scale(self, z: Value) -> Array:
        """Pixels a view unit at this distance."""
        return self.focal / z

    def columns(self) -> Image:
        """Sideways direction of each column: x / z on the ray, (T, W)."""
        centre = self.width / 2 + self.shift
        across = np.arange(self.width) + 0.5
        return np.asarray((across - centre[:, None]) / self.focal[:, None], np.float32)


def haze(z: Value, density: float) -> Array:
    """Share of fog's colour in what is at distance z (view units)."""
    return np.asarray(np.minimum(smooth(np.asarray(z) * density, 0.0, 2.2), 0.96))
