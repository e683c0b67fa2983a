"""The command line and the Python door, on the bundled real clip."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import gistcast
from gistcast.cli import bench, build_parser, common, main, outline_parser
from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.encoder import EncodeSettings
from gistcast.codec.media import VideoReader, VideoWriter, load_clip

STREET = Path(__file__).parent.parent.parent / "app" / "assets" / "street.mp4"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("cli") / "street.gist"
    command = ["encode", str(STREET), "-o", str(target), "--size", "48x48", "--clip-bytes", "400"]
    assert main([*command, "--tune", "psnr"]) == 0  # what is compared below are squared errors
    return target


def _json(capsys: Capture) -> dict[str, object]:
    out = capsys.readouterr().out
    result: dict[str, object] = json.loads(out)
    return result


def test_encode_reports_real_bytes(tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "a.gist"
    command = ["encode", str(STREET), "-o", str(target), "--size", "32x32", "-q", "30", "--json"]
    assert main([*command, "--preset", "fast"]) == 0
    facts = _json(capsys)
    assert facts["bytes"] == target.stat().st_size == sum(facts["layers"].values())  # type: ignore[attr-defined]
    assert (facts["frames"], facts["width"], facts["height"], facts["fps"]) == (105, 32, 32, 25.0)
    assert facts["kbps"] == pytest.approx(target.stat().st_size * 8 / 4.2 / 1000, rel=1e-3)
    assert facts["bpp"] == pytest.approx(target.stat().st_size * 8 / (105 * 32 * 32), rel=1e-3)


def test_small_files_are_made_for_the_eye(tmp_path: Path, capsys: Capture) -> None:
    """By default, where a budget is small."""
    source, target = tmp_path / "a.y4m", tmp_path / "a.gist"
    clip, info = load_clip(STREET, size=(32, 32))
    writer = VideoWriter(source, info)
    writer.write(Clip(*(plane[:8] for plane in clip.planes)))
    writer.close()
    command = ["encode", str(source), "-o", str(target), "--overwrite"]
    coded = {}
    for tune, budget in (("auto", 100), ("perceptual", 100), ("auto", 800), ("psnr", 800)):
        assert main([*command, "--tune", tune, "--clip-bytes", str(budget)]) == 0
        coded[tune, budget] = target.read_bytes()
    assert coded["auto", 100] == coded["perceptual", 100]
    assert coded["auto", 800] == coded["psnr", 800]
    assert main([*command, "--tune", "perceptual", "--preset", "fast"]) == 2
    assert "choice" in capsys.readouterr().err


def test_info(coded: Path, capsys: Capture) -> None:
    assert main(["info", str(coded), "--json"]) == 0
    facts = _json(capsys)
    clips = facts["clips"]
    assert isinstance(clips, list)
    assert [c["frames"] for c in clips] == [32, 18, 32, 23]
    assert [c["pts"] for c in clips] == [0, 32, 50, 82]
    assert all(c["bytes"] <= 400 and c["complete"] for c in clips)
    assert facts["bytes"] == sum(facts["layers"].values())  # type: ignore[attr-defined]
    assert main(["info", str(coded)]) == 0
    assert "residual.0" in capsys.readouterr().out


def test_decode(coded: Path, tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "out.y4m"
    assert main(["decode", str(coded), "-o", str(target), "--no-refine", "--json"]) == 0
    assert _json(capsys)["frames"] == 105
    clip, _ = load_clip(target)
    source, _ = load_clip(STREET, size=(48, 48))
    assert np.square(clip.y.astype(float) - source.y).mean() < 400


def test_no_overwrite(coded: Path, capsys: Capture) -> None:
    before = coded.read_bytes()
    assert main(["encode", str(STREET), "-o", str(coded)]) == 2
    assert "-y" in capsys.readouterr().err
    assert coded.read_bytes() == before


def test_nothing_is_left_of_a_failed_encode(tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"not a video at all" * 100)
    assert main(["encode", str(bad), "-o", str(tmp_path / "a.gist")]) == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.mp4"]


def test_exit_codes(tmp_path: Path, coded: Path) -> None:
    out = str(tmp_path / "o.y4m")
    assert main(["decode", str(tmp_path / "none.gist"), "-o", out]) == 2
    garbage = tmp_path / "garbage.gist"
    garbage.write_bytes(b"GST garbage")
    assert main(["decode", str(garbage), "-o", out]) == 3
    assert main(["decode", str(coded), "-o", out, "--layers", "text"]) == 3
    assert main(["encode", str(STREET), "-o", str(tmp_path / "o.gist"), "-q", "500"]) == 2
    assert main(["encode", str(STREET), "-o", out]) == 2  # a video's name for what is none
    with pytest.raises(SystemExit):
        main(["encode", str(STREET), "-o", str(tmp_path / "o.gist"), "--fps", "-5"])
    with pytest.raises(SystemExit) as caught:
        main(["encode"])
    assert caught.value.code == 2


def test_damage_is_reported_and_survived(coded: Path, tmp_path: Path, capsys: Capture) -> None:
    data = bytearray(coded.read_bytes())
    data[len(data) // 2] ^= 0xFF
    damaged = tmp_path / "damaged.gist"
    damaged.write_bytes(bytes(data))
    out = str(tmp_path / "o.y4m")
    assert main(["decode", str(damaged), "-o", out, "--no-refine", "--json"]) == 3
    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert facts["clips_damaged"] == 1 and 0 < facts["frames"] < 105
    assert "damage at byte" in captured.err
    with VideoReader(Path(out)) as reader:
        assert sum(1 for _ in reader) == facts["frames"]


def _run(*arguments: str, data: bytes) -> bytes:
    command = [sys.executable, "-m", "gistcast", *arguments]
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def test_pipes(street: Clip) -> None:
    y4m = io.BytesIO()
    from gistcast.codec.media import VideoInfo, VideoWriter

    writer = VideoWriter(y4m, VideoInfo(64, 64, Fraction(25)))
    writer.write(street[:12])
    writer.close()
    gist = _run("encode", "-", "-o", "-", "-q", "40", "--preset", "fast", data=y4m.getvalue())
    assert len(gist) < 3000
    out = _run("decode", "-", "-o", "-", "--no-refine", data=gist)
    with VideoReader(io.BytesIO(out)) as reader:
        assert sum(1 for _ in reader) == 12


def test_refine_is_a_dial(street: Clip, tmp_path: Path) -> None:
    data = gistcast.encode(clip_to_rgb(street)[:8], quality=30)
    (tmp_path / "a.gist").write_bytes(data)
    shown = {}
    for word in ("off", "fidelity", "detail"):
        target = tmp_path / f"{word}.y4m"
        assert main(["decode", str(tmp_path / "a.gist"), "-o", str(target), "--refine", word]) == 0
        shown[word] = target.read_bytes()
    assert len(set(shown.values())) == 3
    target = tmp_path / "none.y4m"
    assert main(["decode", str(tmp_path / "a.gist"), "-o", str(target), "--no-refine"]) == 0
    assert target.read_bytes() == shown["off"]
    with pytest.raises(gistcast.UsageError, match="refine"):
        gistcast.decode(data, refine="sharp")


def test_python_door(street: Clip) -> None:
    rgb = clip_to_rgb(street)
    data = gistcast.encode(rgb, fps=25, quality=60)
    sketch = gistcast.decode(data, refine="off")
    assert sketch.shape == rgb.shape and sketch.dtype == np.uint8
    assert 10 * np.log10(255**2 / np.square(sketch.astype(float) - rgb).mean()) > 25
    assert gistcast.encode(rgb, fps=25, clip_bytes=300, text="a street") != data


def test_frame_by_frame_equals_all_at_once(street: Clip, tmp_path: Path) -> None:
    rgb = clip_to_rgb(street)[:20]
    settings = EncodeSettings(quality=30, clip_frames=8)
    encoder = gistcast.Encoder(64, 64, fps=25, settings=settings)
    data = encoder.header
    counts = []
    for frame in rgb:
        packets = encoder.encode(frame)
        counts.append(len(packets))
        data += encoder.to_bytes(packets)
    data += encoder.to_bytes(encoder.flush())
    assert [n for n, c in enumerate(counts) if c] == [7, 15]
    assert data == gistcast.encode(rgb, fps=25, settings=settings)
    (tmp_path / "a.gist").write_bytes(data)
    video = gistcast.open(tmp_path / "a.gist", refine="off")
    assert len(video) == 3 and video[2].clip.frames == 4 and video.header.fps == 25


def test_a_description_by_itself(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gistcast.models import describe

    command = ["encode", str(STREET), "-o", "-", "--size", "32x32", "--text", "auto"]
    command[3] = str(tmp_path / "a.gist")
    for sentence, size in (("people in a street", 12), (None, 0)):
        monkeypatch.setattr(describe, "describe", lambda clip, said=sentence: said)
        assert main([*command, "-y", "--preset", "fast", "--json"]) == 0
        facts = _json(capsys)
        assert facts["text"] == sentence
        assert bool(facts["layers"]["text"]) == bool(sentence)  # type: ignore[index]
        assert facts["layers"]["text"] <= size  # type: ignore[index]


def test_bench(capsys: Capture) -> None:
    command = ["bench", "--sizes", "32x24", "--presets", "fast", "--without", "video"]
    command += ["--repeat", "1", "--json"]
    assert main(command) == 0
    (row,) = _json(capsys)["rows"]  # type: ignore[misc]
    assert (
        row["size"] == "32x24" and row["encode_x_real_time"] > 0 and row["decode_x_real_time"] > 0
    )


def test_bench_takes_several_tunes_where_a_preset_chooses() -> None:
    line = ["bench", "--presets", "fast,medium", "--tunes", "psnr,perceptual"]
    ways = bench._ways(build_parser("bench").parse_args(line))
    assert ways == [("fast", "psnr"), ("medium", "psnr"), ("medium", "perceptual")]
    with pytest.raises(SystemExit):
        build_parser("bench").parse_args(["bench", "--tunes", "speed"])


def test_version(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"gistcast {gistcast.__version__}\n"


def test_completion_takes_shtab(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert "pip install shtab" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion(shell: str, capsys: Capture) -> None:
    pytest.importorskip("shtab")
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "--clip-bytes" in script and "video-tables" in script


def test_bash_completes(tmp_path: Path, capsys: Capture) -> None:
    """What TAB offers, asked of bash itself."""
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "gistcast.bash"
    script.write_text(capsys.readouterr().out)
    ask = 'source "$0"; COMP_WORDS=(gistcast encode --clip); COMP_CWORD=2; '
    ask += '$(complete -p gistcast | sed "s/.*-F \\([^ ]*\\).*/\\1/"); echo "${COMPREPLY[@]}"'
    shown = subprocess.run(["bash", "-c", ask, script], stdout=subprocess.PIPE, check=True)
    assert {"--clip", "--clip-bytes"} <= set(shown.stdout.decode().split())


def test_a_command_imports_no_other() -> None:
    code = "import sys; from gistcast.cli import main\n"
    code += "try: main(['decode', '--help'])\nfinally: print(*sorted(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    names = set(found.stdout.decode().split())
    assert "gistcast.cli.decode" in names and "gistcast.cli.streaming" not in names
    assert not names & {"torch", "aiortc", "aiohttp"}


def test_help_imports_no_command_and_says_what_they_say() -> None:
    code = "import sys; from gistcast.cli import main\n"
    code += "try: main(['--help'])\nfinally: print(*sorted(sys.modules), file=sys.stderr)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    names = found.stderr.decode().split()
    assert not {name for name in names if name.startswith("gistcast.cli.")} - {
        "gistcast.cli.common"
    }
    assert "numpy" not in names
    assert outline_parser().format_help() == build_parser().format_help()


def test_a_terminal_is_told_once_why_the_first_coding_takes_long(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    kernels = logging.getLogger("gistcast.codec.kernels.compiled")
    monkeypatch.setattr(kernels, "level", logging.WARNING)
    monkeypatch.setattr(kernels, "handlers", [])
    common.tell_of_compiling()
    assert not kernels.handlers  # no terminal
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    common.tell_of_compiling()
    for _ in range(2):
        kernels.info("compiling")
    assert capsys.readouterr().err == "gistcast: compiling\n"


def test_eval_goes_on_without_programs_of_others(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default codecs that are not installed are left out and named; asked for, they fail."""
    from gistcast.eval import run
    from gistcast.eval.codecs import executable

    executable.ffmpeg_program.cache_clear()
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    plans: list[run.Plan] = []
    monkeypatch.setattr(run, "run_eval", lambda plan, *_, **__: plans.append(plan))
    try:
        assert main(["eval", str(STREET), "-o", str(tmp_path)]) == 0
    finally:
        executable.ffmpeg_program.cache_clear()
    assert "libaom" not in plans[0].codecs and {"gistcast", "svt-av1"} <= set(plans[0].codecs)
    said = capsys.readouterr().err
    assert "without libaom and vvenc" in said and 'pip install "gistcast[eval]"' in said


def test_serve_says_where_it_is() -> None:
    command = [sys.executable, "-m", "gistcast", "serve", "--listen", "127.0.0.1:0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout is not None
            where = json.loads(serving.stdout.readline())
        finally:
            serving.terminate()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", where["page"])
    assert where["senders"] == f"{where['page']}whip" and where["viewers"] == f"{where['page']}whep"
