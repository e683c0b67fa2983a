"""Your own codec in twenty lines: every frame a JPEG, by Pillow (`pip install pillow`).

gistcast eval in.mp4 -o out/ --codecs gistcast,x265,examples/own_codec.py:CODEC
"""

import io
import time

import numpy as np
import PIL
from PIL import Image

from gistcast.codec.colour import clip_to_rgb, rgb_to_clip
from gistcast.eval.codecs import Coded


class Jpeg:
    name = "jpeg"  # as in the report
    mode = ""  # or "realtime"
    uses_text = False  # whether the payload depends on the clip's description
    points = (5.0, 15.0, 35.0, 60.0, 85.0)  # coarsest first
    counted = "complete JPEG files, one a frame"

    def settings(self, point):  # everything that the result depends on: the cache's key
        return f"Pillow {PIL.__version__} quality={point:g} optimize subsampling=4:2:0"

    def encode(self, clip, fps, point, text=None):
        begin, files = time.perf_counter(), []
        for frame in clip_to_rgb(clip):
            file = io.BytesIO()
            options = {"quality": int(point), "optimize": True, "subsampling": "4:2:0"}
            Image.fromarray(frame).save(file, "jpeg", **options)
            files.append(file.getvalue())
        return Coded(tuple(files), seconds=time.perf_counter() - begin)

    def decode(self, coded, like):  # `like`: (frames, height, width) that must come back
        frames = [Image.open(io.BytesIO(file)).convert("RGB") for file in coded.packets]
        return {"": rgb_to_clip(np.stack([np.asarray(frame) for frame in frames]))}


CODEC = Jpeg()
