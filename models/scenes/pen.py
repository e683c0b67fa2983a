"""Drawing in a person's own metres: x forwards, y up from the ground under them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gistcast.models.scenes.canvas import Canvas, Colour
from gistcast.models.scenes.exact import Array, Point, Value, cosine, sine


class Pen:
    """Shapes in local coordinates on a canvas.

    Args:
        canvas: what to paint on.
        origin: pixel place (column, row) of the local origin, (T,) each.
        scale: pixels a metre, (T,).
        facing: +1 where forwards is to the right, -1 to the left.
        fog: colour and share of the fog between the camera and here.
        times: seconds, (T,).
    """

    def __init__(
        self,
        canvas: Canvas,
        origin: tuple[Array, Array],
        scale: Array,
        facing: int,
        times: Array,
        fog: tuple[Colour, float] = ((0, 0, 0), 0.0),
    ) -> None:
        self.canvas, self.times = canvas, times
        self.scale = scale  #: pixels a metre, (T,)
        self._origin, self._facing, self._fog = origin, facing, fog
        self.sunk = False  #: whether what is below the ground is hidden

    def place(self, point: Point) -> tuple[Array, Array]:
        """Local point -> pixels."""
        x, y = point
        return (
            self._origin[0] + self._facing * self.scale * x,
            self._origin[1] - self.scale * y,
        )

    def mix(self, colour: Colour) -> Colour:
        """The colour through the fog."""
        veil, share = self._fog
        r, g, b = (c + share * (v - c) for c, v in zip(colour, veil, strict=True))
        return r, g, b

    @property
    def _floor(self) -> Array | None:
        return self._origin[1] if self.sunk else None

    def limb(
        self,
        start: Point,
        stop: Point,
        radius: Value,
        colour: Colour,
        end: Value | None = None,
        *,
        alpha: float = 1.0,
    ) -> None:
        """A capsule from one joint to another; radii in metres."""
        self.canvas.capsule(
            self.place(start),
            self.place(stop),
            self.scale * radius,
            self.mix(colour),
            end_radius=None if end is None else self.scale * end,
            alpha=alpha,
            floor=self._floor,
        )

    def disc(self, centre: Point, radius: Value, colour: Colour) -> None:
        """A ball."""
        self.limb(centre, centre, radius, colour)

    def ring(self, centre: Point, radius: float, width: float, colour: Colour) -> None:
        """A circle's outline, `width` half its thickness."""
        self.canvas.ring(
            self.place(centre), self.scale * radius, self.scale * width, self.mix(colour)
        )

    def polygon(self, corners: Sequence[Point], colour: Colour, *, alpha: float = 1.0) -> None:
        """A convex polygon."""
        places = [self.place(corner) for corner in corners]
        self.canvas.polygon(places, self.mix(colour), alpha=alpha, floor=self._floor)

    def foam(self, centre: Point, length: Value, height: Value, *, alpha: float = 0.8) -> None:
        """A soft white patch: churned water, with its own blue under it on any ground."""
        x, y = centre
        self.canvas.ellipse(
            self.place((x, y - 0.35 * height)),
            (self.scale * length * 1.02, self.scale * height * 1.1),
            self.mix((112, 160, 190)),
            alpha=alpha * 0.6,
            soft=0.5,
        )
        self.canvas.ellipse(
            self.place(centre),
            (self.scale * length, self.scale * height),
            self.mix((244, 248, 250)),
            alpha=alpha,
            soft=0.7,
        )

    def drops(self, x: Array, y: Array, radius: Array, alpha: Array) -> None:
        """White drops; local coordinates and radii, (n, T) each."""
        columns, rows = self.place((x, y))
        self.canvas.specks(columns, rows, self.scale * radius, alpha, self.mix((236, 245, 251)))


def darker(colour: Colour, share: float = 0.72) -> Colour:
    """A colour in the shade."""
    r, g, b = (c * share for c in colour)
    return r, g, b


def toward(point: Point, angle: Value, length: Value) -> Point:
    """The point `length` away; angle in turns from straight down, forwards positive."""
    return point[0] + length * sine(angle), point[1] - length * cosine(angle)


def between(a: Point, b: Point, share: Value) -> Point:
    """On the line from a (share 0) to b (share 1)."""
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])


def turned(point: Point, centre: Point, angle: Value) -> Point:
    """A point turned about a centre, turns, counter-clockwise when facing right."""
    c, s = cosine(angle), sine(angle)
    x, y = point[0] - centre[0], point[1] - centre[1]
    return centre[0] + c * x - s * y, centre[1] + s * x + c * y


def elbow(start: Point, stop: Point, upper: float, lower: float, bend: float) -> Point:
    """The joint between two bones (two-link inverse kinematics, law of cosines).

    Args:
        start, stop: the ends; what is out of reach is pointed at.
        upper, lower: lengths of the bones.
        bend: +1 to bend to the left of start -> stop, -1 to the right.
    """
    dx, dy = stop[0] - start[0], stop[1] - start[1]
    apart = np.maximum(np.sqrt(np.asarray(dx * dx + dy * dy, np.float64)), 1e-6)
    reach = np.clip(apart, abs(upper - lower) + 1e-3, upper + lower - 1e-3)
    along = (upper * upper - lower * lower + reach * reach) / (2 * reach)
    across = bend * np.sqrt(np.maximum(upper * upper - along * along, 0.0))
    ux, uy = dx / apart, dy / apart
    return start[0] + along * ux - across * uy, start[1] + along * uy + across * ux


def within(start: Point, stop: Point, length: float) -> Point:
    """`stop`, or where a bone of this length ends on the way there."""
    dx, dy = stop[0] - start[0], stop[1] - start[1]
    apart = np.maximum(np.sqrt(np.asarray(dx * dx + dy * dy, np.float64)), 1e-6)
    share = np.minimum(1.0, length / apart)
    return start[0] + share * dx, start[1] + share * dy
