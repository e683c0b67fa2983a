"""The standard codecs against the same encoders by hand: containers, programs, other parsers."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import pytest

pytest.importorskip("imageio_ffmpeg")

from gistcast.codec.clip import Clip
from gistcast.codec.media import load_clip
from gistcast.eval.byhand import ByHand, Standard, compare, main, payload_of, program_bytes
from gistcast.eval.codecs import STANDARD, standard_codecs
from gistcast.eval.codecs.ffmpeg import FfmpegCodec

FPS = Fraction(25)
STREET = Path(__file__).parent.parent.parent / "app" / "assets" / "street.mp4"
codecs = pytest.mark.parametrize(
    "codec", STANDARD, ids=lambda codec: f"{codec.name}-{codec.mode}".strip("-")
)


@pytest.fixture(scope="module")
def clips(short_clip: Clip) -> list[Clip]:
    """Synthetic motion, a real street, and the same street later, wider and shorter."""
    return [
        short_clip,
        load_clip(STREET, size=(64, 64), frames=8)[0],
        load_clip(STREET, size=(96, 64), frames=6, start=60)[0],
    ]


@codecs
@pytest.mark.parametrize("which", range(3), ids=["disc", "street", "later"])
def test_payload_and_psnr_are_those_by_hand(codec: Standard, which: int, clips: list[Clip]) -> None:
    found = compare(codec, clips[which], FPS, codec.points[3])
    assert found.lab == found.hand
    for ours, theirs in zip(found.lab_psnr, found.hand_psnr, strict=True):
        assert abs(ours - theirs) < 0.01
    assert found.agrees and found.file_bytes > len(found.hand)  # a container costs bytes


def test_another_option_is_noticed(short_clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: by hand with another CRF."""
    (codec, _) = standard_codecs("x264")
    assert isinstance(codec, FfmpegCodec)
    monkeypatch.setattr(
        "gistcast.eval.byhand.options_of", lambda codec, side, point: codec.options(point + 1)
    )
    found = compare(codec, short_clip, FPS, 30)
    assert found.lab != found.hand and not found.agrees


def test_disagreement_in_either_is_disagreement() -> None:
    same = ByHand(b"x", b"x", (30.0, 40.0, 40.0), (30.004, 40.0, 40.0), 3)
    assert same.agrees
    assert not dataclasses.replace(same, hand=b"y").agrees
    assert not dataclasses.replace(same, hand_psnr=(30.0, 40.02, 40.0)).agrees


def test_the_parser_drops_what_is_not_counted(tmp_path: Path) -> None:
    stream = b"\0\0\0\1\x00\xa1d\0\0\0\1\x00\x79sps\0\0\1\x00\xb9sei\0\0\1\x00\x01vcl"
    (tmp_path / "a.266").write_bytes(stream)
    units = list(payload_of(tmp_path / "a.266", "vvc"))
    assert units == [b"\0\0\1\x00\x79sps", b"\0\0\1\x00\x01vcl"]


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(STREET), "--codecs", "x264", "--size", "32", "--frames", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and all(line.endswith(": agree") for line in lines[1:])


def test_the_program_s_own_library_is_near(short_clip: Clip) -> None:
    """Another build of the same encoder: within a tenth at the same options."""
    (codec, _) = standard_codecs("x264")
    assert isinstance(codec, FfmpegCodec)
    lab = codec.encode(short_clip, FPS, 34).bytes
    assert abs(program_bytes(codec, short_clip, FPS, 34) / lab - 1) < 0.1
