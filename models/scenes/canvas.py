"""A stack of frames to paint on: capsules, rings, polygons and specks, anti-aliased.

Coverage is analytic: a pixel is covered by clip(1/2 - signed distance to the edge, 0, 1). Every
shape is painted for all frames at once, in a window that moves with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gistcast.models.scenes.exact import Array, Image, Value

Colour = tuple[float, float, float]  #: red, green, blue, 0 to 255

_LIGHT = (np.float32(-0.45), np.float32(-0.7))  #: towards the light, in the picture's plane
_HALF = np.float32(0.5)


def _unit(values: Image) -> Image:
    """Values clipped to 0 .. 1, in place."""
    np.maximum(values, 0, out=values)
    np.minimum(values, 1, out=values)
    return values


class Window:
    """For each frame a rectangle of one size that holds a shape.

    Attributes:
        index: flat pixel numbers (T, h, w).
        x, y: pixel centres, (T, 1, w) and (T, h, 1).
    """

    def __init__(self, canvas: Canvas, low: tuple[Array, Array], high: tuple[Array, Array]) -> None:
        frames, height, width, _ = canvas.pixels.shape
        starts, counts = [], []
        for limit, first, last in zip((width, height), low, high, strict=True):
            # a shape far outside must neither overflow an integer nor make its window huge
            first = np.minimum(np.maximum(np.floor(first), -limit), 2.0 * limit)
            last = np.minimum(np.maximum(np.ceil(last), -limit), 2.0 * limit)
            count = min(limit, int((last - first).max()) + 1)
            starts.append(np.minimum(np.maximum(first, 0), limit - count).astype(np.int64))
            counts.append(count)
        columns = starts[0][:, None] + np.arange(counts[0])
        rows = starts[1][:, None] + np.arange(counts[1])
        rows_flat = (np.arange(frames)[:, None] * height + rows) * width
        self.index: NDArray[np.int64] = rows_flat[:, :, None] + columns[:, None, :]
        self.x = (columns + 0.5)[:, None, :]
        self.y = (rows + 0.5)[:, :, None]


class Canvas:
    """Frames being painted.

    Attributes:
        pixels: float32 (T, H, W, 3), 0 to 255.
    """

    def __init__(self, pixels: Image) -> None:
        self.pixels = pixels
        self._flat = pixels.reshape(-1, 3)
        self._frames, self._height, self._width, _ = pixels.shape

    def _values(self, *values: Value) -> list[Array]:
        shape = (self._frames,)
        return [
            v if isinstance(v, np.ndarray) and v.shape == shape else np.full(shape, v, np.float64)
            for v in values
        ]

    def _window(
        self, xs: Sequence[Array], ys: Sequence[Array], margin: Array, tall: Array | None = None
    ) -> Window | None:
        """The window around some points, or None if they are never in the picture.

        `margin` is the reach of the shape, sideways only where `tall` gives the other.
        """
        x0, x1, y0, y1 = xs[0], xs[0], ys[0], ys[0]
        for x, y in zip(xs[1:], ys[1:], strict=True):
            x0, x1 = np.minimum(x0, x), np.maximum(x1, x)
            y0, y1 = np.minimum(y0, y), np.maximum(y1, y)
        wide = margin + 1.0
        tall = wide if tall is None else tall + 1.0
        x0, x1, y0, y1 = x0 - wide, x1 + wide, y0 - tall, y1 + tall
        seen = (x1 > 0) & (x0 < self._width) & (y1 > 0) & (y0 < self._height)
        if not seen.any():
            return None
        # frames that do not show it get an empty window, not one that widens all others
        hidden = ~seen
        x1, y1 = np.where(hidden, x0, x1), np.where(hidden, y0, y1)
        return Window(self, (x0, y0), (x1, y1))

    def _blend(
        self, window: Window, cover: Image, colour: Colour, floor: Value | None, shade: Image | None
    ) -> None:
        if floor is not None:
            (level,) = self._values(floor)
            wet = np.clip(level[:, None, None] - window.y + 0.5, 0, 1).astype(np.float32)
            cover = cover * wet
        hit = np.flatnonzero(cover)
        index, amount = window.index.reshape(-1)[hit], cover.reshape(-1)[hit][:, None]
        paint: Image = np.asarray(colour, np.float32)
        if shade is not None:
            paint = shade.reshape(-1)[hit][:, None] * paint
        below = self._flat[index]
        below += amount * (paint - below)
        self._flat[index] = below

    def capsule(
        self,
        start: tuple[Value, Value],
        stop: tuple[Value, Value],
        radius: Value,
        colour: Colour,
        *,
        end_radius: Value | None = None,
        alpha: float = 1.0,
        floor: Value | None = None,
        shaded: bool = True,
    ) -> None:
        """A line with round ends, tapering from `radius` to `end_radius`; pixels.

        Args:
            alpha: opacity.
            floor: rows below this (per frame) are not painted.
            shaded: lighter towards the light, as a round thing is.
        """
        px, py, qx, qy, r0 = self._values(*start, *stop, radius)
        r1 = r0 if end_radius is None else self._values(end_radius)[0]
        window = self._window((px, qx), (py, qy), np.maximum(r0, r1))
        if window is None:
            return
        # a line thinner than a pixel is painted one pixel wide and fainter
        faint = np.minimum(1.0, 2.0 * np.maximum(r0, r1))
        r0, r1 = np.maximum(r0, 0.5), np.maximum(r1, 0.5)
        bx, by = qx - px, qy - py
        square = np.maximum(bx * bx + by * by, 1e-9)

        def cell(values: Array) -> Image:
            return values.astype(np.float32)[:, None, None]

        dx = (window.x - px[:, None, None]).astype(np.float32)
        dy = (window.y - py[:, None, None]).astype(np.float32)
        along = _unit(dx * cell(bx / square) + dy * cell(by / square))
        ex, ey = dx - along * cell(bx), dy - along * cell(by)
        radii = cell(r0) + along * cell(r1 - r0)
        cover = _unit(radii + _HALF - np.sqrt(ex * ex + ey * ey))
        cover *= cell(faint * alpha)
        shade = None
        # per frame, so that a frame does not depend on the ones painted with it
        depth = np.where(r0 > 1.2, 0.22, 0.0)
        if shaded and depth.any():
            lit = np.clip((ex * _LIGHT[0] + ey * _LIGHT[1]) / radii, -1, 1)
            shade = np.float32(1.0) + cell(depth) * lit
        self._blend(window, cover, colour, floor, shade)

    def ring(
        self, centre: tuple[Value, Value], radius: Value, width: Value, colour: Colour
    ) -> None:
        """A circle's outline; `width` is half the thickness of the line; pixels."""
        px, py, r, half = self._values(*centre, radius, width)
        window = self._window((px,), (py,), r + half)
        if window is None:
            return
        faint = np.minimum(1.0, 2.0 * half)
        half = np.maximum(half, 0.5)
        dx = (window.x - px[:, None, None]).astype(np.float32)
        dy = (window.y - py[:, None, None]).astype(np.float32)
        apart = np.abs(np.sqrt(dx * dx + dy * dy) - r.astype(np.float32)[:, None, None])
        cover = _unit(half.astype(np.float32)[:, None, None] + _HALF - apart)
        self._blend(window, cover * faint.astype(np.float32)[:, None, None], colour, None, None)

    def ellipse(
        self,
        centre: tuple[Value, Value],
        radii: tuple[Value, Value],
        colour: Colour,
        *,
        alpha: float = 1.0,
        soft: float = 0.0,
    ) -> None:
        """A level ellipse; `soft` (0 to 1) fades it from that much of the radius outwards."""
        px, py, a, b = self._values(*centre, *radii)
        window = self._window((px,), (py,), a, b)
        if window is None:
            return
        a, b = np.maximum(a, 0.5), np.maximum(b, 0.5)
        dx = (window.x - px[:, None, None]) / a[:, None, None]
        dy = (window.y - py[:, None, None]) / b[:, None, None]
        inside = 1.0 - np.sqrt(dx * dx + dy * dy)
        if soft:
            cover = np.clip(inside / soft, 0, 1)
        else:
            cover = np.clip(inside * np.minimum(a, b)[:, None, None] + 0.5, 0, 1)
        self._blend(window, (cover * alpha).astype(np.float32), colour, None, None)

    def polygon(
        self,
        corners: Sequence[tuple[Value, Value]],
        colour: Colour,
        *,
        alpha: float = 1.0,
        floor: Value | None = None,
    ) -> None:
        """A convex polygon, corners in order (either way round); pixels."""
        xs = [self._values(x)[0] for x, _ in corners]
        ys = [self._values(y)[0] for _, y in corners]
        window = self._window(xs, ys, np.zeros(self._frames))
        if window is None:
            return
        area = np.zeros(self._frames)
        for i in range(len(xs)):
            area = area + xs[i - 1] * ys[i] - xs[i] * ys[i - 1]
        way = np.where(area < 0, -1.0, 1.0)
        outside: Image | None = None
        for i in range(len(xs)):
            ex, ey = xs[i] - xs[i - 1], ys[i] - ys[i - 1]
            norm = way / np.maximum(np.sqrt(ex * ex + ey * ey), 1e-6)
            nx, ny = (ey * norm)[:, None, None], (-ex * norm)[:, None, None]
            edge = (
                (window.x - xs[i][:, None, None]) * nx + (window.y - ys[i][:, None, None]) * ny
            ).astype(np.float32)
            outside = edge if outside is None else np.maximum(outside, edge)
        assert outside is not None
        cover = _unit(_HALF - outside) * np.float32(alpha)
        self._blend(window, cover, colour, floor, None)

    def specks(self, x: Array, y: Array, radius: Array, alpha: Array, colour: Colour) -> None:
        """Many small discs at once: all arguments (n, T); drops, flakes, foam."""
        reach = int(np.ceil(min(float(radius.max()), 64.0) + 0.5))
        offsets = np.arange(-reach, reach + 1)
        left, top = np.floor(x), np.floor(y)
        near = (left > -reach) & (left < self._width + reach)
        near &= (top > -reach) & (top < self._height + reach) & (alpha > 0)
        who, when = np.nonzero(near)
        if not len(who):
            return
        left, top = left[who, when].astype(np.int64), top[who, when].astype(np.int64)
        fx = (x[who, when] - left - 0.5)[:, None] - offsets
        fy = (y[who, when] - top - 0.5)[:, None] - offsets
        size, strength = radius[who, when], alpha[who, when]
        strength = strength * np.minimum(1.0, 4.0 * size * size)
        size = np.maximum(size, 0.5)
        far = np.sqrt(fx[:, None, :] * fx[:, None, :] + fy[:, :, None] * fy[:, :, None])
        cover = np.clip(size[:, None, None] + 0.5 - far, 0, 1) * strength[:, None, None]
        columns, rows = left[:, None] + offsets, top[:, None] + offsets
        good = ((columns >= 0) & (columns < self._width))[:, None, :]
        good = good & ((rows >= 0) & (rows < self._height))[:, :, None] & (cover > 0)
        index = (when[:, None] * self._height + rows)[:, :, None] * self._width
        index = (index + columns[:, None, :])[good]
        # whole numbers, so that the sum does not depend on its order
        weights = np.floor(cover[good] * 256.0 + 0.5)
        pixels = self._flat.shape[0]
        total = np.bincount(index, weights, minlength=pixels)
        hit = np.flatnonzero(total)
        amount = np.minimum(total[hit] / 256.0, 1.0).astype(np.float32)[:, None]
        below = self._flat[hit]
        self._flat[hit] = below + amount * (np.asarray(colour, np.float32) - below)
