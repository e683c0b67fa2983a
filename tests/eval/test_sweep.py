"""Sweeping: rows as the contract has them, payloads kept apart from figures, resuming."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.errors import GistcastError, UsageError
from gistcast.eval import sweep, work
from gistcast.eval.arms import Arm
from gistcast.eval.cache import Cache, clip_hash, key_of
from gistcast.eval.codecs import Codec, Coded, Geometry
from gistcast.eval.codecs.base import BARE
from gistcast.eval.codecs.family import Member
from gistcast.eval.engines import Here, Processes, make_engine
from gistcast.eval.inputs import Source
from gistcast.eval.sweep import Case, Curve, curves_of, load_case, run_curves

CONTRACT = {
    "codec", "arm", "clip", "width", "height", "frames", "bytes", "kbps", "bpp", "psnr_rgb",
    "psnr_yuv", "ssim", "ms_ssim", "lpips_alex", "encode_seconds", "decode_seconds",
}  # fmt: skip
METRICS = ("psnr_rgb", "psnr_yuv", "ssim", "ms_ssim", "lpips_alex")


@dataclass
class Counting:
    """A codec that returns the clip, 100 bytes a point, and counts its calls."""

    name: str = "counting"
    mode: str = ""
    points: tuple[float, ...] = (1, 2, 3, 4)
    counted: str = "made up"
    uses_text: bool = False
    variants: tuple[str, ...] = ("",)
    calls: list[float] = field(default_factory=list)
    clip: Clip | None = None

    def settings(self, point: float) -> str:
        return f"point {point}"

    def encode(self, clip: Clip, fps: Fraction, point: float, text: str | None = None) -> Coded:
        if point > 90:
            raise GistcastError("too fine")
        self.calls.append(point)
        self.clip = clip
        return Coded((bytes(100 * int(point)),), seconds=0.1)

    def decode(self, coded: Coded, like: Geometry) -> Mapping[str, Clip]:
        assert self.clip is not None and Geometry.of(self.clip) == like
        return dict.fromkeys(self.variants, self.clip)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    """The codec that every member stands for."""
    codec = Counting()

    def found(*_: object) -> Codec:
        return codec

    monkeypatch.setattr(work, "codec_of", found)
    monkeypatch.setattr(sweep, "codec_of", found)
    yield codec


def curve(case: Case, *points: float, arm: Arm | None = None, ceiling: float = 1e9) -> Curve:
    member = Member("counting", 0, "cpu")
    return Curve(case, member, arm or Arm(), points, ("psnr_rgb",), ceiling)


def run(curve: Curve, cache: Cache | None = None) -> Curve:
    run_curves([curve], Cache(None) if cache is None else cache, Here())
    return curve


def test_a_row_has_the_fields_of_the_contract(case: Case, counting: Counting) -> None:
    rows = run(replace(curve(case, 2), metrics=METRICS)).rows
    (row,) = rows
    assert set(row) >= CONTRACT
    assert row["bytes"] == 200
    assert row["kbps"] == pytest.approx(200 * 8 / (8 / 25) / 1000)
    assert row["bpp"] == pytest.approx(1600 / (8 * 64 * 64), abs=1e-6)
    assert len(row["psnr_by_frame"]) == 8
    assert json.loads(json.dumps(rows)) == rows


def test_both_fills_share_a_payload(case: Case, counting: Counting) -> None:
    rows = run(curve(case, 1, arm=Arm(keep=2))).rows
    assert [row["arm"] for row in rows] == ["drop-2-hold", "drop-2-fade"]
    assert counting.calls == [1]
    assert rows[0]["psnr_rgb"] != rows[1]["psnr_rgb"]


def test_variants_and_modes_name_their_rows(case: Case, counting: Counting) -> None:
    counting.variants = ("sketch", "refined")
    assert [row["arm"] for row in run(curve(case, 1)).rows] == ["sketch", "refined"]
    counting.variants, counting.mode = ("",), "realtime"
    assert [row["arm"] for row in run(curve(case, 1)).rows] == ["realtime"]
    half = run(curve(case, 1, arm=Arm(scale=2)))
    assert [row["arm"] for row in half.rows] == ["realtime-half"]


def test_codecs_without_filters_keep_the_full_size(case: Case) -> None:
    found = list(curves_of(case, ["x265", "x265:bare"], ("psnr_rgb",), "cpu", 4500))
    bare = [c.arm for c in found if c.codec.mode == BARE]
    assert {arm.scale for arm in bare} == {1}
    full_size = [c.arm for c in found if not c.codec.mode and c.arm.scale == 1]
    assert bare == full_size and len(bare) > 3
    settings = {c.codec.mode: c.codec.settings(30) for c in found}
    assert settings[BARE] == settings[""].replace(
        ":log-level=none", ":log-level=none:no-deblock=1:no-sao=1"
    )


def test_a_curve_ends_beyond_the_ceiling(case: Case, counting: Counting) -> None:
    assert [r["bytes"] for r in run(curve(case, 1, 2, 3, 4, ceiling=150)).rows] == [100, 200]


def test_a_failure_ends_one_curve_and_is_told(case: Case, counting: Counting) -> None:
    bad, good = curve(case, 1, 99, 2), curve(case, 3)
    run_curves([bad, good], Cache(None), Here())
    assert [row["point"] for row in bad.rows] == [1]
    assert bad.failure == "disc: counting full: too fine"
    assert [row["point"] for row in good.rows] == [3]


def test_a_stopped_run_resumes(case: Case, counting: Counting, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "cache.sqlite"
    first = Cache(path)
    made = run(curve(case, 1, 2, 3), first).rows
    first.close()
    again = run(curve(case, 1, 2, 3, 4), Cache(path)).rows
    assert counting.calls == [1, 2, 3, 4]
    assert again[:3] == made


def test_a_new_metric_codes_nothing_again(case: Case, counting: Counting) -> None:
    cache = Cache(None)
    run(curve(case, 1, 2), cache)
    more = run(replace(curve(case, 1, 2), metrics=("psnr_rgb", "ssim")), cache)
    assert counting.calls == [1, 2]
    assert all(row["ssim"] == pytest.approx(1) for row in more.rows)


def test_a_metric_whose_meaning_changed_is_measured_again(
    case: Case, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(None)
    (row,) = run(curve(case, 1), cache).rows
    figures = {row["arm"]: {"psnr_rgb": -1.0}}
    key, _ = curve(case, 1).lookup(1, cache)
    cache.keep_figures(key, figures, {"psnr_rgb": 0})  # of an older version
    (again,) = run(curve(case, 1), cache).rows
    assert again["psnr_rgb"] == row["psnr_rgb"]


def test_a_key_depends_on_clip_settings_arm_and_mode(
    case: Case, clip: Clip, counting: Counting
) -> None:
    keys = [curve(case, 1).lookup(at, Cache(None))[0] for at in (1, 2)]
    keys.append(curve(case, 1, arm=Arm(scale=2)).lookup(1, Cache(None))[0])
    keys.append(curve(replace(case, hash=clip_hash(clip)), 1).lookup(1, Cache(None))[0])
    counting.mode = "realtime"
    keys.append(curve(case, 1).lookup(1, Cache(None))[0])
    assert len(set(keys)) == 5


def test_text_is_in_the_key_of_codecs_that_send_it(case: Case, counting: Counting) -> None:
    told = replace(case, source=replace(case.source, text="a disc"))

    def keys() -> set[str]:
        return {curve(of, 1).lookup(1, Cache(None))[0] for of in (case, told)}

    assert len(keys()) == 1
    counting.uses_text = True
    assert len(keys()) == 2


def test_names_come_from_the_source_not_the_cache(case: Case, counting: Counting) -> None:
    cache = Cache(None)
    run(curve(case, 1), cache)
    renamed = replace(case, source=replace(case.source, name="renamed"))
    assert [row["clip"] for row in run(curve(renamed, 1), cache).rows] == ["renamed"]
    assert counting.calls == [1]


def test_a_payload_comes_back_as_it_was() -> None:
    cache, coded = Cache(None), Coded((b"ab", b"", b"c"), (2, 0, 1), 0.5, {"residual": 3})
    cache.keep_payload("k", coded)
    assert cache.payload("k") == coded
    assert cache.payload("other") is None


def test_something_else_is_no_cache(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    path.write_bytes(b"not a database, but long enough to be looked at" * 20)
    with pytest.raises(GistcastError, match="no cache"):
        Cache(path)


def test_hashes_tell_geometry_apart() -> None:
    import numpy as np

    wide = Clip(*(np.zeros((1, *shape), np.uint8) for shape in ((4, 16), (2, 8), (2, 8))))
    tall = Clip(*(np.zeros((1, *shape), np.uint8) for shape in ((16, 4), (8, 2), (8, 2))))
    assert clip_hash(wide) != clip_hash(tall)
    assert key_of(a=1) != key_of(a=2)


def test_processes_find_what_one_process_finds(case: Case) -> None:
    def rows(engine: Here | Processes) -> list[dict[str, object]]:
        curves = list(curves_of(case, ["x264"], ("psnr_rgb",), "cpu", 400))
        try:
            run_curves(curves, Cache(None), engine)
        finally:
            engine.close()
        timed = {"encode_seconds", "decode_seconds"}
        return [{k: v for k, v in row.items() if k not in timed} for c in curves for row in c.rows]

    assert rows(Processes(2)) == rows(Here())


def test_a_killed_run_loses_nothing_that_was_done(source: Source, tmp_path: Path) -> None:
    """The process dies without a chance to tidy up, after its third payload."""
    script = f"""
import os
from pathlib import Path
from gistcast.eval.cache import Cache
from gistcast.eval.engines import Here
from gistcast.eval.inputs import Source
from gistcast.eval.sweep import curves_of, load_case, run_curves

class Dying(Cache):
    def keep_figures(self, *args):
        super().keep_figures(*args)
        if len(self) == 3:
            os._exit(9)

case = load_case(Source("disc", Path({str(source.path)!r})), (64, 64))
curves = list(curves_of(case, ["x264"], ("psnr_rgb",), "cpu", 1e9))
run_curves(curves, Dying(Path({str(tmp_path / "c.sqlite")!r})), Here())
"""
    assert subprocess.run([sys.executable, "-c", script]).returncode == 9
    cache = Cache(tmp_path / "c.sqlite")
    assert len(cache) == 3
    case = load_case(source, (64, 64))
    steps = [
        curve.lookup(point, cache)[1]
        for curve in curves_of(case, ["x264"], ("psnr_rgb",), "cpu", 1e9)
        for point in curve.points
    ]
    done = [step for step in steps if step.payload is not None]
    assert len(done) == 3
    assert all("psnr_rgb" in shown for step in done for shown in step.known.values())
    assert all(step.known for step in done)


def test_engines_are_refused_clearly() -> None:
    with pytest.raises(UsageError, match="no engine"):
        make_engine("abacus", 1)
    with pytest.raises(UsageError, match="at least one job"):
        make_engine("local", 0)
