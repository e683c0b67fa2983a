"""Tables of what a judge, or the recogniser, makes of clips at each layer."""

import json
from pathlib import Path

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.encoder import EncodeSettings
from gistcast.codec.media import VideoInfo, VideoWriter
from gistcast.models import label_table, scene_table
from gistcast.models.data import Sample
from gistcast.models.prefixes import decoded_prefixes, rows
from gistcast.models.recogniser import load_recogniser
from gistcast.models.validate import measure
from gistcast.models.zoo import load_gist, load_judge


def test_every_prefix_is_decoded(make_clip) -> None:
    clip, gist = make_clip(), load_gist()
    settings = EncodeSettings(quality=30, latent="on", text="a disc", residual_layers=2)
    prefixes = decoded_prefixes(clip, settings, gist)
    made, sizes = zip(*prefixes, strict=True)
    assert [decoded.residual_layers for decoded in made] == [0, 0, 1, 2]
    assert [decoded.latent is None for decoded in made] == [True, False, False, False]
    assert sizes == tuple(sorted(set(sizes)))
    quality = [measure(decoded.sketch, clip, None).psnr for decoded in made]
    assert quality[1] < quality[2] < quality[3]


def test_rows_take_the_last_clip_where_there_are_fewer(make_clip) -> None:
    a, b, c = (make_clip(frames=1, height=16, width=16, seed=seed) for seed in range(3))
    found = list(rows(["one", "two"], [[(a, 10)], [(b, 20), (c, 60)]]))
    assert found == [("one", [a, b], 15.0), ("two", [a, c], 35.0)]


def test_a_judge_sees_renders_and_their_sketches() -> None:
    judge, chosen = load_judge(), scene_table.subjects("val", 4)
    (render,) = scene_table.rows_of(["render"], lambda _, s: [(s.clip, 0)], judge, chosen, "val")
    assert render.accuracy.joint >= 0.75
    assert render.accuracy.clips == 4
    layers = scene_table.coded(20, chosen[0])
    assert len(layers) == scene_table.LAYERS
    error = [np.abs(clip.y.astype(int) - chosen[0].clip.y).mean() for clip, _ in layers]
    assert error[0] > error[1] > error[2]


def _grey(clip: Clip) -> Clip:
    return Clip(*(np.full_like(plane, 128) for plane in clip.planes))


def test_recognised_is_a_share(make_clip) -> None:
    network, clip = load_recogniser(), make_clip()
    said = [label_table.recognised(network, [clip], [label]) for label in network.config.labels]
    assert sorted(said) == [0.0] * (len(said) - 1) + [1.0]
    right = network.config.labels[said.index(1.0)]
    other = network.config.labels[said.index(0.0)]
    assert label_table.recognised(network, [clip, clip], [right, other]) == 0.5


def test_a_row_tells_sketch_from_refined(make_clip) -> None:
    """Stage 2 that paints everything grey: recognised before it, not after."""
    network, clip = load_recogniser(), make_clip()
    label = next(
        label for label in network.config.labels if label_table.recognised(network, [clip], [label])
    )

    class Greying:
        def refine(self, sketch: Clip, **told: object) -> Clip:
            return _grey(sketch)

    def arm(number: int, sample: Sample) -> list[tuple[object, int]]:
        settings = EncodeSettings(quality=90, preset="fast")
        return decoded_prefixes(sample.clip, settings, refiner=Greying())[-1:]

    (row,) = label_table.rows_of(["a"], arm, network, [Sample(clip, "", label)])
    assert (row.sketch, row.refined, row.clips) == (1.0, 0.0, 1)
    assert row.bytes > 1000


def test_the_command(make_clip, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "val").mkdir()
    manifest = []
    for number, label in enumerate(["golf", "no such label"]):
        name = f"val/{number}.y4m"
        writer = VideoWriter(tmp_path / name, VideoInfo(64, 64, 25))  # type: ignore[arg-type]
        writer.write(make_clip(frames=8, seed=number))
        writer.close()
        manifest.append({"file": name, "label": label, "caption": "golf", "group": "g"})
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    out = tmp_path / "labels.json"
    label_table.main([str(tmp_path), "-o", str(out), "--seeds", "2"])
    found = json.loads(out.read_text())
    clips = {row["what"]: row["clips"] for row in found["rows"]}
    assert clips.pop("text") == 2  # one clip of a known label, two seeds
    assert list(clips) == [
        "real",
        "latent",
        "text and latent",
        *(f"residual.0 to {n}" for n in range(3)),
    ]
    assert set(clips.values()) == {1}
    assert found["commonest"] == 1.0
