"""The report: valid, one file, its figures those of the results; driven in Chromium if there."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import av
import numpy as np
import pytest

from gistcast.eval.compressai import Outside
from gistcast.eval.film import Picture, Strip
from gistcast.eval.report import write_report
from gistcast.eval.report.page import PICTURE_BYTES
from gistcast.eval.webp import encode_webp

Results = dict[str, Any]
OUTSIDE = Outside("their <net>", "", (0.01, 0.02, 0.05), {"psnr_rgb": (20.0, 24.0, 28.0)})
_VOID = {"meta", "input", "br", "link", "img", "hr"}


def strip(
    clip: str = "one.mp4", labels: tuple[str, ...] = ("source", "sketch", "standard, x")
) -> Strip:
    """Eight frames of 16x16, one colour a label."""
    pictures = []
    for at, label in enumerate(labels):
        rgb = np.full((16, 8 * 16, 3), 40 * at + 30, np.uint8)
        psnr = tuple(30.0 + at + t / 8 for t in range(8)) if at else ()
        pictures.append(Picture(label, f"{label} at 300 B" if at else "", encode_webp(rgb), psnr))
    return Strip(clip, 16, 16, tuple(range(8)), 300.0, tuple(pictures), 8, 25.0)


@pytest.fixture(scope="module")
def page(results: Results) -> str:
    return write_report(results, [strip()], [OUTSIDE])


class _Balanced(HTMLParser):
    """Notices elements that are not closed, or closed twice."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"


def element(page: str, name: str) -> str:
    found = re.search(rf'<script type="[a-z/]+" id="{name}">(.*?)</script>', page, re.S)
    assert found is not None
    return found[1]


def data_of(page: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(element(page, "data"))))
    return found


# --- without a browser ---


def test_the_page_is_whole_and_its_names_are_escaped(page: str) -> None:
    parser = _Balanced()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    assert page.count("<script") == page.count("</script>") == 3  # no clip's name makes one
    assert "gistcast eval &lt;disc&gt; &amp; more" in page
    assert "nothing &lt;failed&gt;" in page
    assert "$" not in re.sub(r"<script.*?</script>", "", page, flags=re.S)


def test_the_page_needs_no_network(page: str) -> None:
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert not re.search(r"@import|url\(|<link|<img|<iframe|\bsrc=|\bhref=|\bfetch\(|XMLHttp", page)


def test_scripts_ask_only_for_elements_that_are_there(page: str) -> None:
    script = page[page.rindex("<script>") :]
    asked = set(re.findall(r'(?:\$|\bat|getElementById|unpack)\("([a-z-]+)"\)', script))
    parser = _Balanced()
    parser.feed(page)
    assert len(asked) > 20
    assert asked <= set(parser.ids)


def test_the_data_is_what_was_measured(page: str, results: Results) -> None:
    size = data_of(page)["sizes"]["64x64"]
    assert len(size["bytes"]) == len(results["rows"])
    for at, row in enumerate(results["rows"]):
        assert size["curves"][size["curve"][at]] == [row["codec"], row["arm"], row["mode"]]
        assert size["clips"][size["clip"][at]] == row["clip"]
        assert size["bytes"][at] == row["bytes"]
        assert size["metrics"]["psnr_rgb"][at] == pytest.approx(row["psnr_rgb"], rel=1e-4)
    assert size["settings"][size["curves"].index(["x264", "full", ""])]["3"] == "--crf 47"
    assert size["seconds"] == pytest.approx([32 / 25] * 5, rel=1e-3)


def test_the_verdict_says_where_we_lead_and_where_we_do_not(page: str, results: Results) -> None:
    duels = results["summary"]["64x64"]["tables"]["psnr_rgb"]["duels"]
    (duel,) = [
        d for d in duels if (d["arm"], d["against"]) == ("gistcast refined", "hull, all variants")
    ]
    said = re.search(r"<li>RGB-PSNR, dB\. All variants, frozen stills included: (.*?)\.", page)
    assert said is not None
    for low, high, word in zip(duel["low"], duel["high"], _words(said[1], results), strict=True):
        assert word == ("ahead" if low > 0 else "behind" if high < 0 else "level")


def _words(said: str, results: Results) -> list[str]:
    """One word a budget, out of a sentence such as "ahead at 200 to 640, level at ..."."""
    budgets, words = results["summary"]["64x64"]["budgets"], []
    for word, first, last in re.findall(r"(\w+) at ([\d,]+)(?: to ([\d,]+))?", said):
        low, high = (int((n or first).replace(",", "")) for n in (first, last))
        words += [word] * sum(low <= budget <= high for budget in budgets)
    return words


def test_strips_that_do_not_fit_are_named(results: Results) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (600, 2000, 3), np.uint8)
    big = Picture("source", "", encode_webp(noise))
    assert len(big.webp) * 4 // 3 < PICTURE_BYTES < len(big.webp) * 4 // 3 * 3
    some = [Strip(name, 2000, 600, (0,), 1, (big,), 1, 25.0) for name in ("a", "b", "c")]
    page = write_report(results, some)
    assert [s["clip"] for s in json.loads(element(page, "strips"))] == ["a"]
    assert "no room for the film strip of c at 2000x600" in page


def test_a_hundred_thousand_rows_stay_small(results: Results) -> None:
    """46 clips, six codecs and 32 arms at three sizes, ten metrics: the size of a release's run."""
    rng = np.random.default_rng(5)
    rows, metrics = [], [f"metric_{i}" for i in range(9)]
    count = 10_000  # a tenth
    sizes = rng.integers(60, 5000, count).tolist()
    values = rng.uniform(0, 40, (count, 9)).tolist()
    for at, (size, some) in enumerate(zip(sizes, values, strict=True)):
        side = (64, 128, 256)[at % 3]
        rows.append(
            {
                "codec": f"c{at // 16 % 6}", "mode": "", "arm": f"arm-{at // 96 % 32}",
                "clip": f"clip-{at // 3072 % 46}.mp4", "width": side, "height": side, "frames": 32,
                "point": at % 16, "bytes": size, "kbps": size / 160, "bpp": size / 1e4,
                "psnr_rgb": some[0] + 0.123456, **dict(zip(metrics, some, strict=True)),
                "encode_seconds": some[1] / 7, "decode_seconds": some[2] / 700,
            }
        )  # fmt: skip
    part = {**results["summary"]["64x64"], "tables": {}}
    settings = {**results["settings"], "metrics": ["psnr_rgb", *metrics], "codecs": {}}
    summary = {f"{side}x{side}": part for side in (64, 128, 256)}
    page = write_report({"settings": settings, "summary": summary, "rows": rows}, [])
    # random figures do not compress: real ones take about half
    assert len(element(page, "data")) * 10 + PICTURE_BYTES < 15_500_000


def test_pictures_are_lossless() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    with av.open(io.BytesIO(encode_webp(rgb)), format="webp_pipe") as file:
        frame = next(file.decode(video=0))
    assert (frame.reformat(format="rgb24").to_ndarray() == rgb).all()


# --- in a browser ---


Drive = Callable[..., str]


@pytest.fixture
def drive(dump_dom: Callable[..., str]) -> Drive:
    """The page with `choices` in the hash."""
    return lambda page, **choices: dump_dom(page, 'data-ready="yes"', urlencode(choices))


def bd_of(dom: str, line: str) -> float:
    row = re.search(rf'<tr[^>]*data-line="{re.escape(line)}".*?</tr>', dom, re.S)
    assert row is not None
    figure = re.search(r'data-bd="([^"]+)"', row[0])
    assert figure is not None
    return float(figure[1])


def python_bd(results: Results, metric: str, against: str, form: str) -> float:
    wanted = {"arm": "gistcast sketch", "against": against, "method": "pchip", "form": form}
    found = results["summary"]["64x64"]["tables"][metric]["bd_rate"]
    (bd,) = [b for b in found if b["rates"] == "200-2000" and wanted.items() <= b.items()]
    return float(bd["percent"])


def test_the_page_computes_what_the_library_does(page: str, results: Results, drive: Drive) -> None:
    dom = drive(page, anchor="x264 full")
    expected = python_bd(results, "psnr_rgb", "x264 full", "running best")
    assert bd_of(dom, "gistcast sketch") == pytest.approx(expected, abs=0.02)
    assert "their &lt;net&gt; (read)" in dom  # a curve of others says so


def test_choices_change_what_is_shown(page: str, results: Results, drive: Drive) -> None:
    dom = drive(
        page, metric="lpips_alex", ours="gistcast sketch", anchor="hull, all variants",
        **{"from": "200", "to": "2000", "cloud": "1"},
    )  # fmt: skip
    expected = python_bd(results, "lpips_alex", "hull, all variants", "sampled")
    assert bd_of(dom, "gistcast sketch") == pytest.approx(expected, abs=0.05)
    assert "200 to 2,000 bytes" in dom
    assert dom.count('class="cloud"') == len(results["rows"])
    assert "their &lt;net&gt; (read)" not in dom  # they have no LPIPS
    shown = re.findall(r'<div class="boards" data-size="64x64" data-who="([^"]+)">', dom)
    assert shown == ["gistcast sketch"]  # the other arm's is hidden
    assert len(re.findall(r'<tr data-clip="[^$]', dom)) == 5
    assert "gistcast sketch minus hull, all variants" in dom
    assert '<option value="1">sketch</option>' in dom  # the strip's sides


def test_one_s_own_codec_has_its_board_and_its_curve(
    page: str, results: Results, drive: Drive
) -> None:
    dom = drive(page, ours="mine, best arm", anchor="hull, all variants",
                **{"from": "200", "to": "2000"})  # fmt: skip
    shown = re.findall(r'<div class="boards" data-size="64x64" data-who="([^"]+)">', dom)
    assert shown == ["mine, best arm"]
    bds = results["summary"]["64x64"]["tables"]["psnr_rgb"]["bd_rate"]
    wanted = {"arm": "mine, best arm", "against": "hull, all variants", "method": "pchip"}
    (bd,) = [b for b in bds if b["rates"] == "200-2000" and wanted.items() <= b.items()]
    assert bd_of(dom, "mine, best arm") == pytest.approx(bd["percent"], abs=0.05)
