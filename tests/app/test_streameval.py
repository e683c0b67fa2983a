"""`gistcast streameval`: arguments, resuming, the table; one short passage of each kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gistcast.cli import main, streameval
from gistcast.cli.streameval import parse_arm
from gistcast.codec.clip import Clip
from gistcast.codec.errors import UsageError
from gistcast.codec.media import VideoInfo, VideoWriter
from gistcast.codec.packet import RESIDUAL, Packet
from gistcast.eval import timeline
from gistcast.rendered import RememberingDecoder
from gistcast.scores import TimelineScores
from gistcast.stream.passage import Delivery, Passage
from gistcast.streamtable import table


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "in.y4m"
    writer = VideoWriter(path, VideoInfo(64, 64, 25))
    rng = np.random.default_rng(0)
    luma = np.cumsum(rng.integers(0, 3, (12, 64, 64)), 0).astype(np.uint8) + 60
    chroma = np.full((12, 32, 32), 128, np.uint8)
    writer.write(Clip(luma, chroma, chroma))
    writer.close()
    return path


def test_arms() -> None:
    assert parse_arm("vp8").codec == "vp8"
    arm = parse_arm("gistcast:latent=on+adapt=off")
    assert (arm.codec, arm.options) == ("gistcast", {"latent": "on", "adapt": "off"})
    for bad in ("av2", "vp8:latent=on", "gistcast:latent=maybe", "gistcast:speed=2", "gistcast:x"):
        with pytest.raises(UsageError):
            parse_arm(bad)


def test_bad_arguments_end_before_anything_is_sent(video: Path, tmp_path: Path) -> None:
    out = ["-o", str(tmp_path / "out")]
    assert main(["streameval", str(video), *out, "--codecs", "vp9"]) == 2
    assert main(["streameval", str(video), *out, "--network", "loss=5"]) == 2


def test_a_passage_in_virtual_time(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["--codecs", "vp8", "--size", "64x64", "--clock", "virtual"]
    network = ["--network", "delay=20ms,handshake=clean", "--playout", "4"]
    assert main(["streameval", str(video), "-o", str(out), *arguments, *network]) == 0
    rows = json.loads((out / "results.json").read_text())["rows"]
    assert len(rows) == 1 and rows[0]["late_ms"] == 0 and rows[0]["arrived_ratio"] > 0.8


def test_a_stopped_run_goes_on(
    video: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every second frame arrives in time: known figures, and each case is measured once."""
    sent = []

    def send(bench: streameval._Bench, arm: streameval._Arm, rate: int, spec: str) -> Passage:
        sent.append((arm.name, rate, spec))
        if len(sent) == 2:
            raise KeyboardInterrupt
        clips = [Clip(*(p[None] for p in f)) for f in bench.frames]
        ones = [Delivery(n, clips[n], n / 25 + 0.1) for n in range(0, 12, 2)]
        return Passage(ones, payload_bytes=480, wire_bytes=960)

    monkeypatch.setattr(streameval._Bench, "send", send)
    command = ["streameval", str(video), "-o", str(tmp_path / "out"), "--size", "64x64"]
    command += ["--codecs", "vp8,h264", "--network", "", "--network", "loss=1%", "--json"]
    assert main(command) == 130
    assert main(command) == 0
    assert len(sent) == 5 and len(set(sent)) == 4
    results = json.loads(capsys.readouterr().out)
    kept = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["rows"] == kept["rows"] and len(kept["rows"]) == 4
    row = kept["rows"][0]
    assert row["kbps_payload"] == 8.0 and row["kbps_wire"] == 16.0
    assert row["rendered_ratio"] == 0.5 and row["stalls"] == 0
    assert row["first_frame_ms"] == row["delay_ms_p50"] == row["delay_ms_p98"] == 100.0
    lines = (tmp_path / "out" / "table.md").read_text().splitlines()
    assert lines == table(kept["rows"]) and len(lines) == 6
    assert main([*command, "--playout", "1"]) == 2  # another playout is another measurement


@pytest.mark.parametrize("codec", ["gistcast:refine=off", "vp8"])
def test_a_short_passage(
    codec: str, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["streameval", str(video), "-o", str(tmp_path / "out"), "--size", "64x64"]
    command += ["--codecs", codec, "--clip", "8", "--preset", "fast", "--playout", "4"]
    command += ["--network", "delay=5ms", "--rates", "40k", "--json"]
    assert main(command) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["rendered_ratio"] > 0.9 and row["psnr_rgb"] > 25 and row["lpips_alex"] < 0.4
    assert row["kbps_payload"] < row["kbps_wire"] and row["late_ms"] >= 0


def test_scores_are_those_of_the_timeline_whatever_was_seen_before() -> None:
    rng = np.random.default_rng(1)
    reference = rng.integers(0, 255, (6, 64, 64, 3), np.uint8)
    delivered = np.clip(reference[:4].astype(int) + 9, 0, 255).astype(np.uint8)
    scores = TimelineScores(reference)
    for frames in ([0, 1, 2, 3, 3, 3], [-1, 0, 1, 2, 3, 3], [0, 1, 2, 3, 3, 3]):
        shown = timeline.Shown(np.array(frames), np.array(frames))
        assert scores.of(shown, delivered) == pytest.approx(
            timeline.quality(shown, delivered, reference), rel=1e-5
        )


def test_a_clip_is_drawn_once_and_charged_each_time() -> None:
    class Slow:
        header = VideoInfo(64, 64, 25)
        drawn = 0

        def decode_clip(self, packets: list[Packet]) -> list[Packet]:
            self.drawn += 1
            sum(range(2_000_000))
            return packets

    slow = Slow()
    decoder = RememberingDecoder(lambda _: slow).open(b"header")
    first, other = [Packet(0, RESIDUAL, b"a")], [Packet(0, RESIDUAL, b"b")]
    spent = []
    for packets in (first, first, other):
        begun = decoder.clock()
        assert decoder.decode_clip(packets) == packets
        spent.append(decoder.clock() - begun)
    assert slow.drawn == 2
    assert 0.5 < spent[1] / spent[0] < 2


def test_a_decoder_is_warmed_once_and_remembers_nothing_of_it(
    moving_clip: Callable[..., Clip],
) -> None:
    opened, drawn = [], []

    class Fake:
        header = VideoInfo(32, 32, Fraction(25))

        def decode_clip(self, packets: list[Packet]) -> list[Packet]:
            drawn.append(packets)
            return packets

    def make(header: bytes) -> Fake:
        opened.append(header)
        return Fake()

    decoder, clip = RememberingDecoder(make), moving_clip(8, 32, 32)
    for _ in range(2):
        decoder.warm(b"header", clip, Fake.header)
    assert opened == [b"header"] and len(drawn) == 1
    decoder.open(b"header").decode_clip(drawn[0])
    assert opened == [b"header"] and len(drawn) == 2  # not remembered, but open
