"""Sweeping: rows as the contract has them, caching, resuming."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import pytest

from gistcast.codec.clip import Clip
from gistcast.eval.arms import Arm
from gistcast.eval.cache import RowCache, clip_hash, key_of
from gistcast.eval.codecs import Coded
from gistcast.eval.sweep import Case, Step, curve

CONTRACT = {
    "codec", "arm", "clip", "width", "height", "frames", "bytes", "kbps", "bpp", "psnr_rgb",
    "psnr_yuv", "ssim", "ms_ssim", "lpips_alex", "encode_seconds", "decode_seconds",
}  # fmt: skip


@dataclass
class Counting:
    """A codec that returns the clip, 100 bytes a point, and counts its calls."""

    name: str = "counting"
    points: tuple[float, ...] = (1, 2, 3, 4)
    counted: str = "made up"
    uses_text: bool = False
    calls: list[float] = field(default_factory=list)

    def settings(self, point: float) -> str:
        return f"point {point}"

    def code(self, clip: Clip, fps: Fraction, point: float, text: str | None = None) -> Coded:
        self.calls.append(point)
        return Coded((bytes(100 * int(point)),), clip, 0.1, 0.2)


def test_a_row_has_the_fields_of_the_contract(case: Case) -> None:
    rows = Step(Counting(), Arm(), 2).run(case)[1]
    assert len(rows) == 1
    row = rows[0]
    assert set(row) >= CONTRACT
    assert row["bytes"] == 200
    assert row["kbps"] == pytest.approx(200 * 8 / (8 / 25) / 1000)
    assert row["bpp"] == pytest.approx(1600 / (8 * 64 * 64), abs=1e-6)
    assert json.loads(json.dumps(rows)) == rows


def test_both_fills_share_a_payload(case: Case) -> None:
    codec = Counting()
    rows = Step(codec, Arm(keep=2), 1).run(case)[1]
    assert [row["arm"] for row in rows] == ["drop-2-hold", "drop-2-fade"]
    assert codec.calls == [1]
    assert rows[0]["psnr_rgb"] != rows[1]["psnr_rgb"]


def test_variants_of_a_payload_become_rows(case: Case) -> None:
    coded = Coded((b"x",), case.clip, 0, 0, variants={"sketch": case.clip, "refined": case.clip})
    assert list(Step(Counting(), Arm(), 1).shown(case, coded)) == ["sketch", "refined"]


def test_a_curve_ends_beyond_the_ceiling(case: Case) -> None:
    sizes = [r["bytes"] for r in curve(case, Counting(), Arm(), (1, 2, 3, 4), RowCache(None), 150)]
    assert sizes == [100, 200]


def test_a_stopped_run_resumes(case: Case, tmp_path: Path) -> None:
    path, first, second = tmp_path / "deep" / "rows.jsonl", Counting(), Counting()
    points = first.points
    made = list(curve(case, first, Arm(), points[:3], RowCache(path), 1e9))
    path.write_text(path.read_text()[:-20])  # the last line was being written
    again = list(curve(case, second, Arm(), points, RowCache(path), 1e9))
    assert second.calls == [3, 4]
    assert again[:3] == made
    third = Counting()
    list(curve(case, third, Arm(), points, RowCache(path), 1e9))
    assert third.calls == []


def test_a_key_depends_on_clip_settings_arm_and_metrics(case: Case, clip: Clip) -> None:
    codec = Counting()
    other = Case("other", clip, case.fps)
    fewer = Case(case.name, case.clip, case.fps, metrics=("psnr_rgb",))
    keys = {
        Step(codec, Arm(), 1).key(case),
        Step(codec, Arm(), 2).key(case),
        Step(codec, Arm(scale=2), 1).key(case),
        Step(codec, Arm(), 1).key(other),
        Step(codec, Arm(), 1).key(fewer),
    }
    assert len(keys) == 5


def test_text_is_in_the_key_of_codecs_that_send_it(case: Case) -> None:
    told = Case(case.name, case.clip, case.fps, text="a disc")
    assert Step(Counting(), Arm(), 1).key(told) == Step(Counting(), Arm(), 1).key(case)
    teller = Counting(uses_text=True)
    assert Step(teller, Arm(), 1).key(told) != Step(teller, Arm(), 1).key(case)


def test_names_come_from_the_case_not_the_cache(case: Case) -> None:
    cache = RowCache(None)
    list(curve(case, Counting(), Arm(), (1,), cache, 1e9))
    renamed = Case("renamed", case.clip, case.fps)
    codec = Counting()
    assert [r["clip"] for r in curve(renamed, codec, Arm(), (1,), cache, 1e9)] == ["renamed"]
    assert codec.calls == []


def test_hashes_tell_geometry_apart() -> None:
    import numpy as np

    wide = Clip(*(np.zeros((1, *shape), np.uint8) for shape in ((4, 16), (2, 8), (2, 8))))
    tall = Clip(*(np.zeros((1, *shape), np.uint8) for shape in ((16, 4), (8, 2), (8, 2))))
    assert clip_hash(wide) != clip_hash(tall)
    assert key_of(a=1) != key_of(a=2)
