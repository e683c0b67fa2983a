"""The tables: hulls, duels, BD-rates; every figure worked out again in another way."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from gistcast.eval.bd import bd_rate
from gistcast.eval.compressai import Outside
from gistcast.eval.hull import curves, hull_curve, value_at
from gistcast.eval.metrics.frechet import frechet
from gistcast.eval.summary import hull_rows, summarise

Results = dict[str, Any]


def find(found: list[dict[str, Any]], **wanted: str) -> dict[str, Any]:
    (one,) = [f for f in found if all(f[key] == value for key, value in wanted.items())]
    return one


def table(results: Results, metric: str = "psnr_rgb") -> dict[str, Any]:
    part = results["summary"]["64x64"]
    found: dict[str, Any] = part["tables"][metric]
    return found


def points(results: Results, codec: str, arm: str, clip: str) -> list[tuple[float, float]]:
    rows = [r for r in results["rows"] if (r["codec"], r["arm"], r["clip"]) == (codec, arm, clip)]
    return [(r["bytes"], r["psnr_rgb"]) for r in rows]


def test_real_time_has_a_hull_of_its_own(results: Results) -> None:
    parts = hull_rows(results["rows"])
    assert list(parts) == ["hull, all variants", "hull, full frame rate", "hull, real time"]
    assert {r["arm"] for r in parts["hull, all variants"]} == {"full", "half", "drop-2-hold"}
    assert {r["arm"] for r in parts["hull, full frame rate"]} == {"full", "half"}
    assert {r["arm"] for r in parts["hull, real time"]} == {"realtime"}
    without = [row for row in results["rows"] if not row["mode"]]
    assert "hull, real time" not in hull_rows(without)


def test_a_codec_of_one_s_own_is_measured_against_the_hull_and_not_in_it(results: Results) -> None:
    own = [{**r, "codec": "own", "psnr_rgb": 60.0} for r in results["rows"] if r["codec"] == "vp9"]
    found = summarise([*results["rows"], *own], ["psnr_rgb"])["64x64"]["tables"]["psnr_rgb"]
    for name in ("hull, all variants", "hull, full frame rate"):
        assert find(found["lines"], name=name) == find(table(results)["lines"], name=name)
    assert find(found["lines"], name="own, best arm")["values"][4] == 60


def test_a_duel_is_the_difference_clip_by_clip(results: Results) -> None:
    duel = find(table(results)["duels"], arm="gistcast sketch", against="hull, full frame rate")
    at, budget = 4, 1050
    gaps = {}
    for clip in {row["clip"] for row in results["rows"]}:
        ours = value_at(points(results, "gistcast", "sketch", clip), budget, True)
        theirs = [
            value_at(points(results, codec, arm, clip), budget, True)
            for codec, arm in (("x264", "full"), ("x264", "half"), ("vp9", "full"))
        ]
        assert ours is not None
        gaps[clip] = ours - max(value for value in theirs if value is not None)
    assert {c: g[at] for c, g in duel["by_clip"].items()} == pytest.approx(gaps)
    assert duel["difference"][at] == pytest.approx(np.mean(list(gaps.values())))
    assert duel["low"][at] < duel["difference"][at] < duel["high"][at]
    assert duel["wins"][at] == sum(gap > 0 for gap in gaps.values())
    assert duel["wins"][at] + duel["losses"][at] == duel["clips"][at] == 5


def test_the_worst_clips_come_first(results: Results) -> None:
    for metric, sign in (("psnr_rgb", 1), ("lpips_alex", -1)):
        duel = find(
            table(results, metric)["duels"], arm="gistcast sketch", against="hull, all variants"
        )
        means = {
            c: np.mean([g for g in gaps if g is not None]) for c, gaps in duel["by_clip"].items()
        }
        assert duel["worst"] == sorted(means, key=lambda clip: sign * means[clip])


def test_bd_rates_of_the_table_are_means_over_clips(results: Results) -> None:
    bd = find(
        table(results)["bd_rate"], arm="gistcast sketch", against="x264 full", method="akima",
        form="as measured", rates="200-2000",
    )  # fmt: skip
    expected = {}
    for clip in {row["clip"] for row in results["rows"]}:
        found = bd_rate(
            points(results, "x264", "full", clip), points(results, "gistcast", "sketch", clip),
            rates=(200, 2000),
        )  # fmt: skip
        expected[clip] = found.percent
    assert bd["by_clip"] == pytest.approx(expected)
    assert bd["percent"] == pytest.approx(np.mean(list(expected.values())))
    assert bd["wins"] + bd["losses"] == bd["clips"] == 5
    assert bd["low"] <= bd["percent"] <= bd["high"]


def test_no_codec_needs_fewer_bytes_than_the_hull(results: Results) -> None:
    theirs = hull_rows(results["rows"])["hull, all variants"]
    for by_arm in curves(theirs, "psnr_rgb").values():
        whole = hull_curve(by_arm, True)
        for name, points_ in by_arm.items():
            alone = hull_curve({name: points_}, True)
            found = bd_rate(whole, alone, method="pchip")
            assert found.percent is None or found.percent > -0.1  # grids differ
        assert bd_rate(whole, whole).percent == pytest.approx(0, abs=1e-9)


def test_a_hull_of_one_curve_is_that_curve() -> None:
    curve = [(100.0, 20.0), (200.0, 23.0), (400.0, 25.0), (900.0, 26.0), (1600.0, 26.5)]
    found = hull_curve({("x264", "full"): curve}, True)
    assert found[0] == pytest.approx(curve[0])
    assert found[-1] == pytest.approx(curve[-1])
    for size, value in found:
        assert value == pytest.approx(value_at(curve, size, True), abs=1e-9)


def test_a_hull_curve_is_strictly_monotonic_and_nowhere_below(results: Results) -> None:
    theirs = hull_rows(results["rows"])["hull, all variants"]
    for by_arm in curves(theirs, "lpips_alex").values():
        found = hull_curve(by_arm, False)
        assert all(b[0] > a[0] and b[1] < a[1] for a, b in itertools.pairwise(found))
        for size, value in found:
            each = [value_at(p, size * (1 + 1e-9), False) for p in by_arm.values()]
            assert value <= min(v for v in each if v is not None) + 1e-6


def test_curves_of_others_are_lines_that_say_so(results: Results) -> None:
    one = Outside("their net", "", (0.01, 0.02, 0.05), {"psnr_rgb": (20.0, 24.0, 28.0)})
    found = summarise(results["rows"], ["psnr_rgb", "lpips_alex"], [one])["64x64"]["tables"]
    line = find(found["psnr_rgb"]["lines"], name="their net")
    assert line["read"]
    # 0.02 bits a pixel are 328 bytes: the budget of 300 lies between the first two points
    assert 20 < line["values"][1] < 24
    assert line["values"][0] == pytest.approx(20 + 4 * np.log(200 / 163.84) / np.log(2))
    assert "their net" not in {ln["name"] for ln in found["lpips_alex"]["lines"]}


def vector_rows(results: Results) -> list[dict[str, Any]]:
    """Rows with three features a clip, for twelve clips: the farther off, the worse the PSNR."""
    rng = np.random.default_rng(4)
    rows = []
    for group in range(3):
        like = [row for row in results["rows"] if row["clip"] != "five.mp4"]
        for name in sorted({row["clip"] for row in like}):
            clip, source = f"{group} {name}", rng.normal(0, 1, 3)
            rows.append(
                {"codec": "source", "mode": "", "arm": "source", "clip": clip, "bytes": 0}
                | {"width": 64, "height": 64, "frames": 32, "features": source.tolist()}
            )
            for row in (r for r in like if r["clip"] == name):
                features = source + 10 / row["psnr_rgb"]
                rows.append({**row, "clip": clip, "features": features.tolist()})
    return rows


def test_a_vector_makes_one_figure_a_set_and_budget(results: Results) -> None:
    rows = vector_rows(results)
    part = summarise(rows, ["psnr_rgb", "features"])["64x64"]
    assert list(part["tables"]) == ["psnr_rgb"]
    assert part["clips"] == 12
    (found,) = part["sets"]
    lines = {line["name"]: line["values"] for line in found["lines"]}
    at, budget = 4, 1050
    chosen: dict[str, dict[str, Any]] = {}
    for row in sorted((r for r in rows if r["arm"] == "sketch"), key=lambda r: r["bytes"]):
        if row["bytes"] <= budget:
            chosen[row["clip"]] = row
    source = {r["clip"]: r["features"] for r in rows if r["codec"] == "source"}
    expected = frechet([chosen[c]["features"] for c in source], list(source.values()))
    assert lines["gistcast sketch"][at] == pytest.approx(expected)
    assert lines["gistcast sketch"][6] < lines["gistcast sketch"][0]
    assert lines["best single arm, real time"][0] is None  # no clip of theirs is as small
    both = lines["best single arm, all variants"][at], lines["best single arm, full frame rate"][at]
    assert both[0] <= both[1]


def test_few_clips_make_no_set(results: Results) -> None:
    rows = [{**row, "features": [1.0, 2.0]} for row in results["rows"]]
    assert summarise(rows, ["psnr_rgb", "features"])["64x64"]["sets"] == []


def test_a_codec_of_the_user_s_own_is_held_against_the_hulls(results: Results) -> None:
    found = table(results)
    duel_ = find(found["duels"], arm="mine, best arm", against="hull, full frame rate")
    budgets = results["summary"]["64x64"]["budgets"]
    for clip, gaps in duel_["by_clip"].items():
        arms = [points(results, "mine", arm, clip) for arm in ("full", "half")]
        theirs = [points(results, codec, "full", clip) for codec in ("x264", "vp9")]
        theirs.append(points(results, "x264", "half", clip))
        for budget, gap in zip(budgets, gaps, strict=True):
            best = [
                max(
                    (v for c in curves if (v := value_at(c, budget, True)) is not None),
                    default=None,
                )
                for curves in (arms, theirs)
            ]
            if gap is None:
                assert None in best
            else:
                assert best[0] is not None and best[1] is not None
                assert gap == pytest.approx(best[0] - best[1])
    wanted = {"arm": "mine, best arm", "against": "hull, all variants", "method": "pchip"}
    assert find(found["bd_rate"], **wanted, rates="200-2000")["clips"] == 5
    lines = [line["name"] for line in found["lines"]]
    assert lines.count("mine, best arm") == 1
    in_hulls = {best for d in found["duels"] for names in d["best"].values() for best in names}
    assert not any(best.startswith("mine") for best in in_hulls)


def test_other_budgets_are_taken_as_they_are(results: Results) -> None:
    part = summarise(results["rows"], ["psnr_rgb"], budgets=[250, 900])["64x64"]
    assert part["budgets"] == [250, 900]
    assert {bd["rates"] for bd in part["tables"]["psnr_rgb"]["bd_rate"]} == {"all", "250-900"}
