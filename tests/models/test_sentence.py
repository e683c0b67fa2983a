"""Sentences to descriptions: integers, unknown words, what captions say."""

import numpy as np
import pytest

from gistcast.codec.errors import ModelError
from gistcast.models.scenes import HELD_OUT, sample_scene
from gistcast.models.sentence import (
    BUCKETS,
    CLASSES,
    FACTORS,
    Description,
    SentenceEncoder,
    features,
)
from gistcast.models.train_sentence import full, told, train_sentence


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return train_sentence(sentences=3000, epochs=4)


def test_features_are_the_same_everywhere() -> None:
    # golden: CRC-32 of "w:a" and of the trigram "<a>"
    assert features("a") == [2160, 683]
    assert features("Golf, POOL!") == features("golf pool")
    assert all(0 <= row < BUCKETS for row in features("一つ Ünïcode 🏌"))


def test_it_reads_captions(encoder: SentenceEncoder) -> None:
    scenes = [sample_scene(4321, index) for index in range(150)]
    right = [encoder.describe(s.caption)[:2] == told(s)[:2] for s in scenes]
    assert np.mean(right) > 0.97


@pytest.mark.parametrize(
    ("text", "action", "surroundings"),
    [
        ("a person plays golf in the pool", "golf", "pool"),
        ("cyclist in the desert", "biking", "sand"),
        ("goolf on teh gras", "golf", "grass"),
        ("sailing", "sailing", "unsaid"),
    ],
)
def test_other_words_and_misspellings(
    encoder: SentenceEncoder, text: str, action: str, surroundings: str
) -> None:
    said = encoder.describe(text).named()
    assert (said["action"], said["surroundings"]) == (action, surroundings)


def test_no_text_says_nothing(encoder: SentenceEncoder) -> None:
    assert encoder.describe(None) == encoder.describe("?!") == Description()


def test_a_description_is_of_the_caption_alone() -> None:
    scene = next(s for s in (sample_scene(1, i) for i in range(99)) if "in " not in s.caption)
    assert told(scene).action == full(scene).action
    assert all(t in (0, f) for t, f in zip(told(scene)[:3], full(scene)[:3], strict=True))


def test_held_out_pairs_are_never_in_captions_of_training(encoder: SentenceEncoder) -> None:
    for action, place in HELD_OUT:
        said = encoder.describe(f"{action} {place}")
        assert FACTORS["action"][said.action] == action


def test_tables_of_another_shape_are_refused() -> None:
    with pytest.raises(ModelError):
        SentenceEncoder(np.zeros((BUCKETS, 3), np.int16), np.zeros(CLASSES, np.int32))
    with pytest.raises(ModelError):
        SentenceEncoder(np.zeros((BUCKETS, CLASSES)), np.zeros(CLASSES, np.int32))
