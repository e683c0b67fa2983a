"""One step of a sweep, as a worker does it: a payload and its figures.

    Step --source, size--> clip --arm--> small clip --codec--> payload --decode, arm--> shown clips
         --meter--> figures

A `Step` is small and can be sent to any process or machine that sees the same files.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from gistcast.codec.clip import Clip
from gistcast.codec.errors import GistcastError
from gistcast.eval.arms import Arm
from gistcast.eval.cache import Figures
from gistcast.eval.codecs import Codec, Coded, Geometry
from gistcast.eval.codecs.family import Member, codecs_of
from gistcast.eval.inputs import Source
from gistcast.eval.metrics import Meter

DECODE_SECONDS = "decode_seconds"
PSNR_BY_FRAME = "psnr_by_frame"
ALWAYS = {DECODE_SECONDS: 1, PSNR_BY_FRAME: 1}  #: figures of every payload, with their versions


@dataclass(frozen=True)
class Step:
    """What is to be done.

    Attributes:
        source, size: the clip, at (width, height).
        member: the codec.
        arm: what the clip goes through before it.
        point: its operating point.
        metrics: what is measured.
        payload: what was coded before; None codes it.
        known: figures from before, which are not measured again.
    """

    source: Source
    size: tuple[int, int]
    member: Member
    arm: Arm
    point: float
    metrics: tuple[str, ...]
    payload: Coded | None = None
    known: Figures = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """What came of a step.

    Attributes:
        payload: what was coded now; None where it was known, or failed.
        figures: what was measured now.
        failure: "" or why there is nothing.
    """

    payload: Coded | None = None
    figures: Figures = field(default_factory=dict)
    failure: str = ""


def perform(step: Step) -> Done:
    """Code, decode and measure, as far as it is not known. A failure is told, not raised."""
    try:
        clip, fps = clip_of(step.source, step.size)
        coded = step.payload or encode(step, clip, fps)
        begin = time.perf_counter()
        shown = decode(step, coded, clip)
        seconds = round(time.perf_counter() - begin, 4)
        meter = _meter(step.source, step.size, step.metrics)
        return Done(
            None if step.payload else coded,
            {name: _measure(step, name, one, meter, seconds) for name, one in shown.items()},
        )
    except GistcastError as error:
        return Done(failure=str(error))


def encode(step: Step, clip: Clip, fps: Fraction) -> Coded:
    """The payload of a step.

    Raises:
        GistcastError: the codec cannot code this clip.
    """
    codec = codec_of(step.member, step.size)
    return codec.encode(step.arm.reduce(clip), fps, step.point, step.source.text)


def decode(step: Step, coded: Coded, clip: Clip) -> Mapping[str, Clip]:
    """What a viewer may see of a payload, by the name of the arm in `results.json`.

    Raises:
        GistcastError: it cannot be decoded.
    """
    codec = codec_of(step.member, step.size)
    decoded = codec.decode(coded, step.arm.geometry(Geometry.of(clip)))
    if set(decoded) != {""}:
        return decoded
    return {
        arm_name(codec, step.arm, fill): step.arm.restore(decoded[""], fill, clip)
        for fill in step.arm.fills()
    }


def arm_name(codec: Codec, arm: Arm, fill: str) -> str:
    """The arm as it appears in `results.json`, after its mode ("realtime-half", "bare")."""
    name = arm.row_name(fill)
    if not codec.mode:
        return name
    return codec.mode if name == "full" else f"{codec.mode}-{name}"


def codec_of(member: Member, size: tuple[int, int]) -> Codec:
    """The codec, made once a process."""
    return codecs_of(member.spec, size, member.device)[0][member.index]


@lru_cache(maxsize=4)
def clip_of(source: Source, size: tuple[int, int]) -> tuple[Clip, Fraction]:
    """The clip at that size, and its frame rate."""
    return source.load(size)


@lru_cache(maxsize=2)
def _meter(source: Source, size: tuple[int, int], metrics: tuple[str, ...]) -> Meter:
    clip, fps = clip_of(source, size)
    return Meter(clip, metrics, fps)


def _measure(step: Step, name: str, shown: Clip, meter: Meter, seconds: float) -> dict[str, object]:
    known = step.known.get(name, {})
    found: dict[str, object] = {}
    missing = [metric for metric in step.metrics if metric not in known]
    found |= meter.measure(shown, missing)
    if PSNR_BY_FRAME not in known:
        found[PSNR_BY_FRAME] = meter.psnr_by_frame(shown)
    if DECODE_SECONDS not in known:
        found[DECODE_SECONDS] = seconds
    return found
