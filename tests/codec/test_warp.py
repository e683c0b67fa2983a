"""The spline kernel does what scipy's does, at any position."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from gistcast.codec.kernels.spline import sample


@pytest.mark.parametrize("shape", [(17, 23), (2, 5), (1, 3)])
@pytest.mark.parametrize("reach", [2.0, 500.0])
def test_samples_are_scipy_s(shape: tuple[int, int], reach: float) -> None:
    rng = np.random.default_rng(shape[0])
    knots = rng.normal(0, 40, (6, *shape)).astype(np.float32)
    matrices = np.eye(2) + rng.normal(0, 0.05, (6, 2, 2))
    matrices[1:3] = np.eye(2)  # shifts alone
    matrices[3, 0, 1] = 0
    matrices[4, 1, 0] = 0
    offsets = rng.normal(0, reach, (6, 2))
    offsets[0] = 3.0, -2.0  # on the grid
    out = np.empty((6, 11, 9), np.float32)
    sample(knots, matrices, offsets, out)
    for t in range(6):
        expected = affine_transform(
            knots[t], matrices[t], offsets[t], output_shape=(11, 9), mode="mirror", prefilter=False
        )
        np.testing.assert_allclose(out[t], expected, rtol=0, atol=1e-3)
