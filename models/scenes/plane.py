"""The ground's part of the picture, and how colours are laid on it."""

from __future__ import annotations

import numpy as np

from gistcast.models.scenes.camera import View
from gistcast.models.scenes.canvas import Colour
from gistcast.models.scenes.exact import Image

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


def rgb(colour: Colour) -> Image:
    """A colour as an array."""
    return np.asarray(colour, np.float32)


def over(paint: Image, cover: Image, colour: Colour) -> Image:
    """Lay a colour on, in place; `cover` (T, H, W) or with sides of 1."""
    paint += cover[..., None] * (rgb(colour) - paint)
    return paint


def mix(a: Colour, b: Colour, share: Image) -> Image:
    """Between two colours, (T, H, W, 3)."""
    first = rgb(a)
    return np.asarray(first + share[..., None] * (rgb(b) - first))
