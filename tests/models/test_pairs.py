from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from gistcast.codec import sketch, transform
from gistcast.codec.clip import Clip
from gistcast.codec.encoder import EncodeSettings
from gistcast.codec.fade import kept_frames
from gistcast.codec.file import decode_video, encode_video
from gistcast.codec.layout import make_layout
from gistcast.codec.media import VideoInfo
from gistcast.codec.quantiser import luma_step, plane_steps
from gistcast.models import coded, imitate
from gistcast.models.data import FrameStore
from gistcast.models.imitate import imitated_sketch
from gistcast.models.pairs import (
    ClipShapes,
    CodedPairs,
    TrainingClips,
    augment,
    clip_batches,
    coded_pairs,
    windows,
)
from gistcast.models.validate import measure

RESIDUAL_ALONE = frozenset({"video", "motion"})
SHAPES = ClipShapes(sizes=((16, 0.5), (32, 0.5)), lengths=((8, 0.5), (4, 0.5)))


@pytest.fixture
def clips(cache: Path) -> TrainingClips:
    return TrainingClips(FrameStore(cache / "train"), FrameStore(cache / "stills"), 5, SHAPES)


def test_the_imitation_uses_the_codecs_transform(make_clip) -> None:
    """Without its dead zone it gives the codec's own coefficients and the clip again."""
    assert tuple(step / luma_step(0) for step in plane_steps(0)) == imitate.PLANE_STEPS
    clip = make_clip(frames=8, height=40, width=26)
    seen: list[torch.Tensor] = []
    levels = transform.spatial_levels(40, 26)
    plane = torch.from_numpy(clip.y).float()[None]

    def keep(band: torch.Tensor) -> torch.Tensor:
        seen.append(band)
        return band

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imitate, "_quantise", keep)
        chroma = torch.zeros(1, 8, 20, 13)
        made = imitate.imitate((plane, chroma, chroma), torch.ones(1))
    assert float((made[0] - plane).abs().max()) <= 1  # rounding
    layout = make_layout(8, 40, 26)
    bands = sketch.transform_clip(clip, None, layout)[0]
    assert np.allclose(seen[0][0], bands[levels, transform.LL], atol=0.02)
    # the innermost level is coded first; luma's finest bands are the last of its own
    finest = seen[3 * levels - 2 : 3 * levels + 1]
    for band, key in zip(finest, (transform.HL, transform.LH, transform.HH), strict=True):
        assert np.allclose(band[0], bands[1, key], atol=0.02)


def test_the_imitation_is_near_the_codec(make_clip) -> None:
    clip = make_clip()
    for quality in (30.0, 55.0):
        settings = EncodeSettings(quality=quality, tune="psnr", without=RESIDUAL_ALONE)
        data = encode_video([clip], VideoInfo(clip.width, clip.height, Fraction(25)), settings)
        (decoded,) = decode_video(data)
        ours = measure(imitated_sketch(clip, decoded.step), clip, None).psnr
        assert ours == pytest.approx(measure(decoded.sketch, clip, None).psnr, abs=1.0)


def test_a_finer_step_makes_a_better_sketch(make_clip) -> None:
    clip = make_clip()
    quality = [measure(imitated_sketch(clip, step), clip, None).psnr for step in (400, 100, 25)]
    assert quality == sorted(quality)
    assert quality[2] > 30


def test_clips_are_a_function_of_seed_step_and_row(clips: TrainingClips, cache: Path) -> None:
    first = clip_batches(clips, 2)
    batches = [next(first) for _ in range(4)]
    resumed = next(clip_batches(clips, 2, start=3))
    assert torch.equal(batches[3].clip[0], resumed.clip[0])
    assert not torch.equal(batches[3].clip[0][0], batches[3].clip[0][1])
    other = TrainingClips(FrameStore(cache / "train"), FrameStore(cache / "stills"), 6, SHAPES)
    assert any(
        a.clip[0].shape != b.clip[0].shape or not torch.equal(a.clip[0], b.clip[0])
        for a, b in zip(batches, clip_batches(other, 2), strict=False)
    )
    seen = {b.clip[0].shape[1:3] for b, _ in zip(clip_batches(clips, 1), range(16))}  # noqa: B905
    assert seen == {(4, 16), (8, 16), (4, 32), (8, 32)}


def test_augmentation_turns_the_planes_together(make_clip) -> None:
    grey = make_clip(frames=4, height=16, width=16)
    ramp = np.tile(np.arange(60, 156, 6, dtype=np.uint8), (4, 16, 1))  # left to right
    small = np.ascontiguousarray(ramp[:, ::2, ::2])
    for seed in range(12):
        made = augment(Clip(ramp, small, grey.v), np.random.default_rng(seed))
        # wherever the ramp went in luma it went in the chroma plane that had it
        rises = np.sign(np.diff(made.y.astype(int), axis=2).sum())
        chroma = [np.sign(np.diff(p.astype(int), axis=2).sum()) for p in (made.u, made.v)]
        if rises:
            assert abs(rises) in (abs(chroma[0]), abs(chroma[1]))


def test_the_codecs_own_pairs_join_in(cache: Path, make_clip) -> None:
    stores = FrameStore(cache / "train"), FrameStore(cache / "stills")
    shapes = ClipShapes(sizes=((64, 1.0),), lengths=((8, 1.0),), coded=0.5)
    coded.make_coded_pairs(cache, cache, 2)
    before = {p.name: p.stat().st_mtime_ns for p in (cache / "coded-64").iterdir()}
    coded.make_coded_pairs(cache, cache, 3)
    assert (
        before.items()
        <= {p.name: p.stat().st_mtime_ns for p in (cache / "coded-64").iterdir()}.items()
    )
    pairs = CodedPairs(cache / "coded-64")
    assert len(pairs) == 3
    pair = pairs.read(1)
    assert pair.sketch.step > 0
    assert 15 < measure(pair.sketch.clip, pair.clip, None).psnr < 60
    batches = clip_batches(TrainingClips(*stores, 5, shapes, coded_pairs(cache)), 2)
    kinds = [next(batches) for _ in range(12)]
    own = [b for b in kinds if b.sketch is not None]
    assert 0 < len(own) < 12
    for batch in own:
        assert batch.sketch is not None
        assert batch.clip[0].shape == batch.sketch[0].shape == (2, 32, 64, 64)
        assert bool((batch.steps > 0).all()) and set(batch.kept.tolist()) <= {0.0, *coded.KEPT}
        # a sketch turned unlike its clip would be no better than another picture
        error = (batch.clip[0].float() - batch.sketch[0]).abs().mean()
        assert error < (batch.clip[0].float() - batch.sketch[0].flip(3)).abs().mean()


def test_sketches_are_as_the_codec_sends_them(make_clip, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip()
    monkeypatch.setattr(coded, "VIDEO", 1.0)
    monkeypatch.setattr(coded, "KEPT", (4,))
    monkeypatch.setattr(coded, "_OFTEN", (1.0,))
    video = coded.code_somehow(clip, np.random.default_rng(3))
    at = kept_frames(32, 4)
    assert list(video.kept) == at and video.step > 0
    error = np.square(clip.y.astype(float) - video.clip.y).mean((1, 2))
    assert error[at].mean() < error.mean()  # fades are further off than what was coded
    monkeypatch.setattr(coded, "VIDEO", 0.0)
    residual = coded.code_somehow(clip, np.random.default_rng(3))
    assert residual.kept == () and residual.step > 0


def test_windows_are_cut_alike() -> None:
    clip = torch.rand(3, 2, 12, 12, 6)
    cut, same = windows(clip, clip + 1, 5, np.random.default_rng(0))
    assert cut.shape == (3, 2, 5, 5, 6)
    assert torch.equal(cut + 1, same)
    whole, _ = windows(clip, clip, 0, np.random.default_rng(0))
    assert torch.equal(whole, clip)
