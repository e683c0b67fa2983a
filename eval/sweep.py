"""Every codec at every operating point over every clip, as far as it is not in the cache.

    curves --next step that is not known--> engine --payload, figures--> cache --> rows

A curve is followed from its coarsest point until a payload exceeds the ceiling, so its steps wait
for one another; different curves do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from gistcast.codec.clip import Clip
from gistcast.eval.arms import Arm, arms_for, plain_arms, whole_arms
from gistcast.eval.cache import Cache, Figures, Row, clip_hash, key_of
from gistcast.eval.codecs import Codec, Coded, Geometry
from gistcast.eval.codecs.base import BARE, REALTIME, keeps_limits
from gistcast.eval.codecs.family import Member, codecs_of
from gistcast.eval.engines import Engine
from gistcast.eval.inputs import Source
from gistcast.eval.metrics import METRICS
from gistcast.eval.summary import OURS
from gistcast.eval.walk import Climb, Fit, Walk, within
from gistcast.eval.work import ALWAYS, DECODE_SECONDS, PSNR_BY_FRAME, Done, Step, clip_of, codec_of


@dataclass(frozen=True)
class Case:
    """One clip at one size.

    Attributes:
        source: where it comes from.
        size: (width, height).
        geometry: of the clip.
        fps: frames a second.
        hash: of the clip.
    """

    source: Source
    size: tuple[int, int]
    geometry: Geometry
    fps: Fraction
    hash: str

    @property
    def name(self) -> str:
        """For people and rows."""
        return self.source.name

    @property
    def clip(self) -> Clip:
        """The reference."""
        return clip_of(self.source, self.size)[0]


def load_case(source: Source, size: tuple[int, int]) -> Case:
    """The clip of a source at `size` (width, height).

    Raises:
        CorruptError: it cannot be read as video.
    """
    clip, fps = clip_of(source, size)
    return Case(source, size, Geometry.of(clip), fps, clip_hash(clip))


@dataclass
class Curve:
    """One codec behind one arm on one clip.

    Attributes:
        case, member, arm: who and what.
        points: operating points, coarsest first.
        metrics: what is measured.
        ceiling: bytes beyond which the curve is not followed.
        budgets: bytes; where there are any, the finest payloads within them are searched instead,
            and their rows say so in `budgets`.
        rows: what is known.
        failure: "" or why the curve ends early.
    """

    case: Case
    member: Member
    arm: Arm
    points: Sequence[float]
    metrics: tuple[str, ...]
    ceiling: float
    budgets: tuple[float, ...] = ()
    rows: list[Row] = field(default_factory=list)
    failure: str = ""

    @cached_property
    def _walk(self) -> Walk:
        if self.budgets and len(self.points) > 1 and not keeps_limits(self.codec):
            return Fit(self.points, self.budgets)
        return Climb(self.points, self.ceiling)

    @property
    def codec(self) -> Codec:
        """Who codes."""
        return codec_of(self.member, self.case.size)

    def next_step(self, cache: Cache) -> tuple[str, Step] | None:
        """Take rows from the cache up to the first step that is to be done: its key and itself;
        None at the end of the curve."""
        while (point := self._walk.point()) is not None and not self.failure:
            key, step = self.lookup(point, cache)
            if step.payload is None or not _complete(step):
                return key, step
            self.add_rows(step, step.payload, step.known)
        self._mark_budgets()
        return None

    def lookup(self, point: float, cache: Cache) -> tuple[str, Step]:
        """The step of a point, with what is known of it, and its key."""
        case = self.case
        key = self._key(point)
        known = cache.figures(key, versions(self.metrics))
        payload = cache.payload(key)
        return key, Step(
            case.source, case.size, self.member, self.arm, point, self.metrics, payload, known
        )

    def _key(self, point: float) -> str:
        codec = self.codec
        described = {"text": self.case.source.text} if codec.uses_text else {}
        return key_of(
            **described,
            clip=self.case.hash,
            fps=str(self.case.fps),
            codec=codec.name,
            mode=codec.mode,
            settings=codec.settings(point),
            arm=self.arm.name,
        )

    def add_rows(self, step: Step, payload: Coded, figures: Figures) -> None:
        """Rows of a step that is done."""
        for shown, values in figures.items():
            self.rows.append(self._row(step.point, payload, shown, values))
        self._walk.landed(payload.bytes)

    def _mark_budgets(self) -> None:
        chosen = within([row["bytes"] for row in self.rows], self.budgets)
        for row in self.rows:
            mine = [budget for budget, size in chosen.items() if size == row["bytes"]]
            if mine:
                row["budgets"] = mine

    def _row(self, point: float, payload: Coded, shown: str, values: dict[str, Any]) -> Row:
        case, codec = self.case, self.codec
        pixels = case.geometry.frames * case.geometry.height * case.geometry.width
        seconds = case.geometry.frames / case.fps
        row: Row = {
            "codec": codec.name,
            "mode": codec.mode,
            "arm": shown,
            "clip": case.name,
            "width": case.geometry.width,
            "height": case.geometry.height,
            "frames": case.geometry.frames,
            "point": point,
            "bytes": payload.bytes,
            "kbps": round(float(payload.bytes * 8 / seconds / 1000), 4),
            "bpp": round(payload.bytes * 8 / pixels, 6),
            **{name: values[name] for name in self.metrics},
            "encode_seconds": round(payload.seconds, 4),
            "decode_seconds": values[DECODE_SECONDS],
            "psnr_by_frame": values[PSNR_BY_FRAME],
        }
        if payload.layers:
            row["layers"] = dict(payload.layers)
        return row

    def fail(self, reason: str) -> None:
        """End the curve; its rows so far stay."""
        self.failure = f"{self.case.name}: {self.codec.name} {self.arm.name}: {reason}"


def curves_of(
    case: Case, specs: Sequence[str], metrics: tuple[str, ...], device: str, ceiling: float
) -> Iterator[Curve]:
    """Every curve of a clip: each codec that the names stand for behind each of its arms.

    Ours codes clips as they are: it has its own ways to spend fewer bytes. A real-time mode drops
    no frames, as it would have to wait for the later one of two. A codec without its filters is
    there for what is sharp, hence at full size.
    """
    arms_of = {REALTIME: plain_arms, BARE: whole_arms}
    for spec in specs:
        for index, codec in enumerate(codecs_of(spec, case.size, device)[0]):
            member = Member(spec, index, device)
            arms = arms_of.get(codec.mode, arms_for)(case.geometry)
            for arm in [Arm()] if codec.name == OURS else arms:
                yield Curve(case, member, arm, codec.points, metrics, ceiling)


def versions(metrics: Iterable[str]) -> dict[str, int]:
    """Versions of the metrics, and of what is measured always."""
    return {name: METRICS[name].version for name in metrics} | ALWAYS


def _complete(step: Step) -> bool:
    wanted = versions(step.metrics)
    return bool(step.known) and all(set(wanted) <= set(of) for of in step.known.values())


def run_curves(
    curves: Sequence[Curve],
    cache: Cache,
    engine: Engine,
    ended: Callable[[Curve], None] = lambda _: None,
) -> None:
    """Fill in the rows of all curves.

    Args:
        curves: clip by clip, so that workers can keep a clip at hand.
        cache: where everything is looked up and kept, step by step.
        engine: where steps run.
        ended: called with each curve that has ended, for a progress bar.

    Raises:
        GistcastError: the engine broke down; the cache has what was done.
    """
    active: dict[Any, tuple[Curve, str, Step]] = {}
    waiting = _first_steps(curves, cache, ended)
    try:
        while True:
            # a step more for each worker, so that none waits for its next one
            while len(active) < 2 * engine.workers and (start := next(waiting, None)) is not None:
                active[engine.submit(start[2])] = start
            if not active:
                return
            for handle, done in engine.wait(active.keys()):
                curve, key, step = active.pop(handle)
                _take(curve, key, step, done, cache)
                following = curve.next_step(cache)
                if following is None:
                    ended(curve)
                else:
                    active[engine.submit(following[1])] = (curve, *following)
    finally:
        if active:  # an error or an interrupt: nobody waits for these any more
            active.clear()


def _first_steps(
    curves: Sequence[Curve], cache: Cache, ended: Callable[[Curve], None]
) -> Iterator[tuple[Curve, str, Step]]:
    for curve in curves:
        step = curve.next_step(cache)
        if step is None:
            ended(curve)
        else:
            yield curve, *step


def _take(curve: Curve, key: str, step: Step, done: Done, cache: Cache) -> None:
    """Keep what a step brought."""
    payload = done.payload or step.payload
    if done.failure or payload is None:
        curve.fail(done.failure)
        return
    if done.payload is not None:
        cache.keep_payload(key, done.payload)
    cache.keep_figures(key, done.figures, versions(curve.metrics))
    merged = {shown: step.known.get(shown, {}) | of for shown, of in done.figures.items()}
    curve.add_rows(replace(step, payload=payload), payload, merged)
