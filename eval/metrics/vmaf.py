"""VMAF, VMAF-NEG and XPSNR, by the `ffmpeg` program of the imageio-ffmpeg wheel.

    reference.yuv --+--> libvmaf (vmaf_v0.6.1 and its NEG form in one go) --> JSON
    decoded.yuv   --+--> xpsnr ------------------------------------------> log

Sources: Li et al., "VMAF: The Journey Continues", Netflix 2018; Helmrich et al., "XPSNR", ICASSP
2020. Both were made for large pictures; at the sizes of this lab they compare codecs, no more.
"""

from __future__ import annotations

import json
import re
import subprocess
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

from gistcast.codec.errors import GistcastError
from gistcast.codec.media import frames_to_bytes
from gistcast.eval.codecs.executable import ffmpeg_program
from gistcast.eval.metrics.psnr import CEILING
from gistcast.eval.metrics.view import Value, View

#: pixels a side. libvmaf crashes at 16, and gives identical pictures less than their due below 48;
#: at 64 its coarsest band is four pixels wide. Below about 45 XPSNR's block is nothing, and it is
#: plain PSNR.
SMALLEST = {"vmaf": 64, "vmaf_neg": 64, "xpsnr": 48}

_LIBVMAF = (
    r"libvmaf=model='version=vmaf_v0.6.1\:name=vmaf|version=vmaf_v0.6.1neg\:name=vmaf_neg'"
    ":n_threads=1:log_fmt=json:log_path=vmaf.json"
)
# without one clock for both inputs libvmaf may compare frames of different times
_CLOCK = "settb=AVTB,setpts=PTS-STARTPTS"
_PATIENCE = 600  # seconds for a clip
_XPSNR = re.compile(r"XPSNR .*\(minimum: ([\d.]+|inf)\)")


class FfmpegFilters:
    """Measures by the filters of `ffmpeg`, one process a clip for all three metrics."""

    def __init__(self, reference: View, fps: Fraction) -> None:
        self._reference, self._fps = reference.clip, fps

    def measure(self, decoded: View, wanted: frozenset[str]) -> dict[str, Value]:
        """The `wanted` ones of `vmaf`, `vmaf_neg` (means over frames) and `xpsnr` (dB)."""
        side = min(self._reference.height, self._reference.width)
        found: dict[str, Value] = dict.fromkeys(wanted)
        fitting = {name for name in wanted if side >= SMALLEST[name]}
        if not fitting:
            return found
        with TemporaryDirectory() as folder:
            for name, clip in (("reference", self._reference), ("decoded", decoded.clip)):
                Path(folder, f"{name}.yuv").write_bytes(frames_to_bytes(clip))
            log = self._filter(Path(folder), graph(fitting))
            if scores := fitting & {"vmaf", "vmaf_neg"}:
                means = json.loads(Path(folder, "vmaf.json").read_text())["pooled_metrics"]
                found |= {name: float(means[name]["mean"]) for name in scores}
        if "xpsnr" in fitting:
            found["xpsnr"] = _xpsnr(log)
        return found

    def _filter(self, folder: Path, filters: str) -> str:
        """Run the program; what it logs."""
        clip = self._reference
        form = ["-f", "rawvideo", "-pixel_format", "yuv420p"]
        form += ["-video_size", f"{clip.width}x{clip.height}", "-framerate", str(self._fps)]
        command = [ffmpeg_program(), "-hide_banner", "-nostdin", "-nostats", "-threads", "1"]
        command += ["-filter_complex_threads", "1"]
        for name in ("reference", "decoded"):
            command += [*form, "-i", f"{name}.yuv"]
        command += ["-filter_complex", filters]
        for output in re.findall(r"\[out\d\]", filters):
            command += ["-map", output, "-f", "null", "-"]
        run = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=_PATIENCE
        )
        if run.returncode:
            raise GistcastError(f"ffmpeg failed: {' '.join(run.stderr.strip().splitlines()[-1:])}")
        return run.stderr


def graph(wanted: set[str]) -> str:
    """Filters for some of `SMALLEST`'s metrics; input 0 is the reference, 1 the decoded clip.

    libvmaf takes the decoded clip first, xpsnr the reference: it weights blocks by its first input.
    """
    filters = []
    if {"vmaf", "vmaf_neg"} & wanted:
        filters.append(f"[d0][r0]{_LIBVMAF}[out0]")
    if "xpsnr" in wanted:
        index = len(filters)
        filters.append(f"[r{index}][d{index}]xpsnr[out{index}]")
    heads = [
        f"[{number}:v]{_CLOCK},split={len(filters)}"
        + "".join(f"[{letter}{index}]" for index in range(len(filters)))
        for number, letter in enumerate("rd")
    ]
    return ";".join(heads + filters)


def _xpsnr(log: str) -> float:
    """The least of the three planes' averages over the clip, as FFmpeg's manual suggests."""
    found = _XPSNR.search(log)
    if found is None:
        raise GistcastError("ffmpeg's xpsnr filter said nothing")
    return min(CEILING, float(found[1]))
