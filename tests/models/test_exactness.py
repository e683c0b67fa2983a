"""A stream with the bundled gist model decodes to the same symbols whatever torch does."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gistcast.codec.encoder import EncodeSettings
from gistcast.codec.file import decode_video, encode_video
from gistcast.codec.media import VideoInfo, load_clip
from gistcast.models.zoo import load_gist

STREET = Path(__file__).parent.parent.parent / "app" / "assets" / "street.mp4"

_SCRIPT = """
import sys, hashlib
import torch
torch.set_num_threads({threads})
torch.backends.mkldnn.enabled = {mkldnn}
from gistcast.codec.file import decode_video
from gistcast.models.zoo import load_gist
(clip,) = decode_video(sys.stdin.buffer.read(), load_gist())
digest = hashlib.sha256(clip.latent.tobytes())
for plane in clip.symbols:
    for key in sorted(plane):
        digest.update(plane[key].tobytes())
print(digest.hexdigest(), float(clip.sketch.y.mean()))
"""


@pytest.mark.parametrize(("threads", "mkldnn"), [(1, True), (2, True), (1, False), (2, False)])
def test_threads_and_onednn(threads: int, mkldnn: bool) -> None:
    clip, _ = load_clip(STREET, size=(64, 64), frames=8)
    settings = EncodeSettings(quality=35, clip_frames=8, latent="on", text="a street")
    data = encode_video([clip], VideoInfo(64, 64, Fraction(25)), settings, load_gist())
    (here,) = decode_video(data, load_gist())
    assert here.latent is not None
    digest = hashlib.sha256(here.latent.tobytes())
    for plane in here.symbols:
        for key in sorted(plane):
            digest.update(plane[key].tobytes())
    script = _SCRIPT.format(threads=threads, mkldnn=mkldnn)
    done = subprocess.run(
        [sys.executable, "-c", script], input=data, stdout=subprocess.PIPE, check=True
    )
    symbols, mean = done.stdout.decode().split()
    assert symbols == digest.hexdigest()
    assert np.isclose(float(mean), float(here.sketch.y.mean()), atol=0.01)
