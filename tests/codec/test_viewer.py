"""Coding for a viewer: what it likes best is sent, within the same limits."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import pytest

from gistcast.codec import videochoice
from gistcast.codec.clip import Clip
from gistcast.codec.decoder import DecodedClip, Decoder
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.errors import UsageError
from gistcast.codec.media import VideoInfo
from gistcast.codec.video import Units

INFO = VideoInfo(64, 64, Fraction(25))


@dataclass
class Fond:
    """A viewer that likes sketches with so many frames kept, and remembers what it saw."""

    of: int
    seen: list[tuple[Clip, float, int]] = field(default_factory=list)

    def distance(self, clip: Clip, sketch: Clip, *, step: float, kept: Sequence[int]) -> float:
        self.seen.append((sketch, step, len(kept)))
        return abs(len(kept) - self.of)


def _sent(clip: Clip, viewer: Fond, **settings: object) -> tuple[DecodedClip, int]:
    chosen = EncodeSettings(**settings)  # type: ignore[arg-type]
    encoder = Encoder(VideoInfo(clip.width, clip.height, Fraction(25)), chosen, viewer=viewer)
    packets = encoder.encode_clip(clip)
    size = sum(len(p.to_bytes(encoder.header)) for p in packets)
    return Decoder(encoder.header).decode_clip(packets), size


@pytest.mark.parametrize("kept", [4, 32])
def test_what_the_viewer_likes_is_sent(street: Clip, kept: int) -> None:
    viewer = Fond(kept)
    decoded, size = _sent(street, viewer, clip_bytes=700, tune="perceptual")
    assert len(decoded.kept) == kept
    assert 0.95 * 700 <= size <= 700
    first, *shown, last = [k for _, _, k in viewer.seen]  # some may not fill the budget
    assert first == 0 and shown == sorted(shown, reverse=True)
    assert {4, 32} < set(shown) <= {32, 16, 8, 4, 2, 1}
    assert last == kept  # with more effort


@pytest.mark.parametrize(("gain", "sent"), [(0.1, True), (0.0, False)])
def test_the_residual_is_compared_with_what_would_be_sent(
    street: Clip, monkeypatch: pytest.MonkeyPatch, gain: float, sent: bool
) -> None:
    """A video may need the effort that only the winner gets to be nearer than the residual."""
    encode, presets = videochoice.encode, list[int]()

    def noting(clip: Clip, kept: int, crf: float, preset: int, **more: bool) -> Units:
        presets.append(preset)
        return encode(clip, kept, crf, preset, **more)

    class Discerning(Fond):
        def distance(self, clip: Clip, sketch: Clip, *, step: float, kept: Sequence[int]) -> float:
            return 1.05 - gain * (presets[-1] < 4) if kept else 1.0

    monkeypatch.setattr(videochoice, "encode", noting)
    decoded, _ = _sent(street, Discerning(0), clip_bytes=700, tune="perceptual")
    assert bool(decoded.kept) == sent and min(presets) < 4


def test_the_viewer_sees_what_a_decoder_has(street: Clip) -> None:
    viewer = Fond(0)
    decoded, size = _sent(street, viewer, clip_bytes=500)
    sketch, step, _ = viewer.seen[0]
    assert decoded.kept == () and size <= 500
    assert np.array_equal(decoded.sketch.y, sketch.y) and decoded.step == step
    plain = Encoder(INFO, EncodeSettings(clip_bytes=500, without=frozenset({"video"})))
    bare = Decoder(plain.header).decode_clip(plain.encode_clip(street))
    assert np.array_equal(bare.sketch.y, decoded.sketch.y)


def test_a_quality_is_kept_too(street: Clip) -> None:
    plain = Encoder(INFO, EncodeSettings(quality=40, without=frozenset({"video"})))
    budget = sum(len(p.to_bytes(plain.header)) for p in plain.encode_clip(street))
    decoded, size = _sent(street, Fond(8), quality=40)
    assert len(decoded.kept) == 8 and size <= budget


@pytest.mark.parametrize(
    "settings",
    [
        {"clip_bytes": 500, "tune": "psnr"},
        {"clip_bytes": 2500},
        {"clip_bytes": 500, "preset": "fast"},
        {"clip_bytes": 500, "residual_layers": 3},
        {"clip_bytes": 500, "without": frozenset({"video"})},
    ],
)
def test_when_it_is_not_asked(street: Clip, settings: dict[str, object]) -> None:
    viewer = Fond(4)
    decoded, _ = _sent(street, viewer, **settings)
    assert viewer.seen == [] and len(decoded.kept) != 4


def test_small_goes_by_the_samples_of_a_clip(street: Clip) -> None:
    short = Clip(*(p[:8] for p in street.planes))
    viewer = Fond(4)
    _sent(short, viewer, clip_bytes=600)
    assert viewer.seen == []
    decoded, _ = _sent(short, viewer, clip_bytes=400)
    assert len(decoded.kept) == 4


def test_large_frames_are_left_alone_unless_asked_for(moving_clip) -> None:
    clip = moving_clip(4, 264, 256)
    viewer = Fond(4)
    _sent(clip, viewer, clip_bytes=1500)
    assert viewer.seen == []
    _sent(clip, viewer, clip_bytes=1500, tune="perceptual")
    assert viewer.seen


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="needs a viewer"):
        Encoder(INFO, EncodeSettings(tune="perceptual"))
    for settings in ({"preset": "fast"}, {"residual_layers": 2}, {"layers": "text", "text": "a"}):
        with pytest.raises(UsageError, match="choice"):
            EncodeSettings(tune="perceptual", **settings)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="none of auto, psnr"):
        EncodeSettings(tune="ssim")
