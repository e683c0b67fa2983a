"""Estimates the camera's path of a clip: the encoder's side of `motion`.

    frames --each to the next, coarse to fine--> steps --chained--> views of the middle frame
           --all to their mean on the canvas--> views --ramp and sines--> Motion

Gauss-Newton on the brightness difference with weights that forgive what moves by itself.
Sources: Lucas and Kanade (1981); Black and Anandan, "Robust estimation of multiple motions"
(1996).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.motion import AFFINE, MAX_COEFFICIENT, PAN, Motion, phases

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_SIDE = 64  # longer frames are looked at in this size
_NO_MOVE = np.eye(2, 3, 1)  # a view (2, 3): shift, matrix; in order y, x, from the centre


def _pooled(frames: F32, by: int) -> F32:
    """Means of by x by samples."""
    n, h, w = frames.shape
    whole = frames[:, : h // by * by, : w // by * by]
    pooled = whole.reshape(n, h // by, by, w // by, by).mean((2, 4), dtype=np.float32)
    return np.asarray(pooled)


def _sample(images: list[F32], y: F64, x: F64) -> list[F32]:
    """Bilinear samples of images (n or 1, H, W) at y, x (n, points)."""
    n, height, width = images[0].shape
    y0 = np.clip(y.astype(np.int64), 0, height - 2)
    x0 = np.clip(x.astype(np.int64), 0, width - 2)
    fy, fx = (y - y0).astype(np.float32), (x - x0).astype(np.float32)
    at = y0 * width + x0 + (np.arange(n) * height * width)[:, None] * (n > 1)
    out = []
    for image in images:
        flat = image.ravel()
        upper = flat[at] * (1 - fx) + flat[at + 1] * fx
        lower = flat[at + width] * (1 - fx) + flat[at + width + 1] * fx
        out.append(upper * (1 - fy) + lower * fy)
    return out


def _align(frames: F32, target: F32, views: F64, parameters: int, rounds: int) -> F64:
    """Views (n, 2, 3) at which `target` (n or 1, H, W) looks like `frames` (n, h, w)."""
    n, h, w = frames.shape
    yx = np.indices((h, w)).reshape(2, -1) - np.array([[h - 1], [w - 1]]) / 2
    middle = (np.array(target.shape[1:]) - 1) / 2
    slope_y, slope_x = (np.asarray(g, np.float32) for g in np.gradient(target, axis=(1, 2)))
    wanted, views = frames.reshape(n, -1), views.copy()
    scale = max(h, w) / 2
    for _ in range(rounds):
        at = views[:, :, :1] + views[:, :, 1:] @ yx + middle[:, None]
        inside = ((at >= 0) & (at <= 2 * middle[:, None])).all(1)
        seen, gy, gx = _sample([target, slope_y, slope_x], at[:, 0], at[:, 1])
        error = np.where(inside, wanted - seen, 0)
        spread = 3 * np.median(np.abs(error), axis=1, keepdims=True) + 1
        weight = inside / (1 + (error / spread) ** 2)
        basis = [gy, gx]
        if parameters == AFFINE:
            y, x = (yx / scale).astype(np.float32)
            basis += [gy * y, gy * x, gx * y, gx * x]
        jacobian = np.stack(basis, 1)
        weighted = jacobian * weight[:, None]
        normal = (weighted @ jacobian.transpose(0, 2, 1)).astype(np.float64)
        damping = 1e-3 * np.trace(normal, axis1=1, axis2=2) / parameters + 1e-3
        normal += damping[:, None, None] * np.eye(parameters)
        step = np.linalg.solve(normal, (weighted @ error[:, :, None]).astype(np.float64))[..., 0]
        views[:, :, 0] += step[:, :2]
        if parameters == AFFINE:
            views[:, :, 1:] += step[:, 2:].reshape(n, 2, 2) / scale
    return views


def _chain(outer: F64, inner: F64) -> F64:
    """outer(inner(x)) of two views (2, 3)."""
    shift = outer[:, :1] + outer[:, 1:] @ inner[:, :1]
    return np.concatenate([shift, outer[:, 1:] @ inner[:, 1:]], 1)


def _inverse(view: F64) -> F64:
    back = np.linalg.inv(view[:, 1:])
    return np.concatenate([-back @ view[:, :1], back], 1)


def _steps(frames: F32, parameters: int) -> F64:
    """Views (T-1, 2, 3) of each frame in the next."""
    views = np.repeat(_NO_MOVE[None], len(frames) - 1, 0)
    for by in (4, 2, 1):
        if min(frames.shape[1:]) < 8 * by:
            continue
        small = _pooled(frames, by)
        views[:, :, 0] /= by
        order = PAN if by == 4 else parameters
        views = _align(small[:-1], small[1:], views, order, 8 if by > 1 else 4)
        views[:, :, 0] *= by
    return views


def _path(steps: F64) -> F64:
    """Views (T, 2, 3) of every frame in the middle one."""
    middle = (len(steps) + 1) // 2
    views = np.repeat(_NO_MOVE[None], len(steps) + 1, 0)
    for t in range(middle, len(steps)):
        views[t + 1] = _chain(views[t], _inverse(steps[t]))
    for t in range(middle - 1, -1, -1):
        views[t] = _chain(views[t + 1], steps[t])
    return views


def _mean_canvas(frames: F32, views: F64) -> F32:
    """Mean of the frames where they lie in the middle one's plane, (1, H, W) about its centre."""
    h, w = frames.shape[1:]
    corners = np.array([[y * (h - 1), x * (w - 1)] for y in (-0.5, 0.5) for x in (-0.5, 0.5)]).T
    reach = np.abs(views[:, :, :1] + views[:, :, 1:] @ corners).max((0, 2))
    half = np.ceil(np.minimum(reach, [h, w])).astype(int)
    shape = 2 * half + 1
    yx = np.indices(shape).reshape(2, -1) - half[:, None]
    back = np.stack([_inverse(view) for view in views])
    centre = np.array([[h - 1], [w - 1]]) / 2
    at = back[:, :, :1] + back[:, :, 1:] @ yx + centre
    inside = ((at >= 0) & (at <= 2 * centre)).all(1)
    (samples,) = _sample([frames], at[:, 0], at[:, 1])
    count = inside.sum(0)
    mean = (samples * inside).sum(0) / np.maximum(count, 1)
    mean[count == 0] = mean[count > 0].mean()
    return np.asarray(mean.reshape(1, *shape), dtype=np.float32)


def camera_path(luma: NDArray[np.uint8], parameters: int = AFFINE) -> F64:
    """The camera's views (T, 2, 3) of a canvas, for luma frames (T, h, w), in luma samples.

    A view is [shift, matrix] in order y, x, from centre to centre.
    """
    from scipy.ndimage import uniform_filter

    by = max(1, -(-max(luma.shape[1:]) // _SIDE))
    frames = _pooled(luma.astype(np.float32), by)
    frames = uniform_filter(frames, (0, 2, 2)) if by == 1 else frames
    views = _path(_steps(frames, parameters))
    views = _align(frames, _mean_canvas(frames, views), views, parameters, 4)
    views[:, :, 0] *= by
    return views


def reach(views: F64, height: int, width: int) -> float:
    """How far views (T, 2, 3) move from the first at most, in luma samples at the edges."""
    change = np.abs(views - views[:1])
    matrix = change[:, :, 1:] @ np.array([height, width]) / 2
    return float((change[:, :, 0] + matrix).max())


def fit_motion(
    views: F64, height: int, width: int, unit: int, terms: int, parameters: int
) -> Motion:
    """The nearest `Motion` of so many terms to views (T, 2, 3).

    The canvas is free, so constants are left out.

    Args:
        unit: see `Motion`.
        parameters: PAN or AFFINE.
    """
    frames = len(views)
    basis = np.c_[np.full(frames, 256), phases(frames)[:terms].T] / 256
    rows = views.reshape(frames, 2, 3) - _NO_MOVE
    constant = np.linalg.lstsq(basis, rows.reshape(frames, 6), rcond=None)[0][0].reshape(2, 3)
    back = _inverse(_NO_MOVE + constant)
    rows = np.stack([_chain(back, view) for view in views]) - _NO_MOVE
    rows[:, :, 1:] *= max(height, width) / 2
    flat = np.concatenate([rows[:, :, 0], rows[:, :, 1:].reshape(frames, 4)], 1)[:, :parameters]
    fitted = np.linalg.lstsq(basis, flat, rcond=None)[0][1:]
    limit = MAX_COEFFICIENT
    whole = np.clip(np.rint(fitted * (8 / (1 << unit))), -limit, limit).astype(int)
    if parameters == AFFINE and not whole[:, PAN:].any():
        whole = whole[:, :PAN]
    while len(whole) > 1 and not whole[-1].any():
        whole = whole[:-1]
    return Motion(unit, tuple(tuple(row) for row in whole.T.tolist()))
