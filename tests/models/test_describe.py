"""A sentence for a clip that came without one."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.errors import GistcastError
from gistcast.codec.media import load_clip
from gistcast.models import describe as module
from gistcast.models.describe import SENTENCES, describe, recognise
from gistcast.models.recogniser import load_recogniser

STREET = Path(__file__).parent.parent.parent / "app" / "assets" / "street.mp4"


def _install(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    found = EntryPoints([EntryPoint("mine", value, module.GROUP)])
    monkeypatch.setattr(module, "entry_points", lambda group: found)


def tall(frames: np.ndarray) -> str | None:
    """Somebody's captioner."""
    return f"{len(frames)} frames of {frames.shape[1]} rows" if frames.shape[1] > 32 else None


def broken(frames: np.ndarray) -> str | None:
    """Somebody's captioner that has no model."""
    raise FileNotFoundError("model.bin")


def test_every_kind_but_the_rest_has_a_sentence() -> None:
    assert set(SENTENCES) == set(load_recogniser().config.labels) - {"other"}


def test_only_what_is_sure_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    clip, _ = load_clip(STREET, size=(64, 64))
    kind, sure = recognise(clip)
    assert 0 < sure < 1
    monkeypatch.setattr(module, "SURE", sure - 0.01)
    assert describe(clip) == SENTENCES.get(kind)
    monkeypatch.setattr(module, "SURE", sure + 0.01)
    assert describe(clip) is None


def test_nothing_is_said_of_what_is_too_small() -> None:
    tiny = Clip(np.zeros((4, 16, 16), np.uint8), *[np.full((4, 8, 8), 128, np.uint8)] * 2)
    assert describe(tiny) is None


def test_an_installed_captioner_is_asked_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    clip, _ = load_clip(STREET, size=(64, 64), frames=8)
    _install(monkeypatch, f"{__name__}:tall")
    assert describe(clip) == "8 frames of 64 rows"
    _install(monkeypatch, f"{__name__}:broken")
    with pytest.raises(GistcastError, match=r"captioner 'mine' failed: model\.bin"):
        describe(clip)
