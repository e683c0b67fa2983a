import torch

from gistcast.models.text import BUCKETS, TextEncoder, features


def test_features_are_the_same_everywhere() -> None:
    assert features("Golf, golf!") == features("golf golf")
    # golden: CRC-32 of "w:a" and of the trigram "<a>"
    assert features("a") == [112, 683]
    assert all(0 <= row < BUCKETS for row in features("一つ Ünïcode 🏌"))


def test_no_text_is_exactly_zero_and_unknown_words_are_not() -> None:
    torch.manual_seed(0)
    encoder = TextEncoder(8)
    out = encoder([None, "", " ?! ", "xyzzyqux", "playing golf", "golf playing"])
    assert bool((out[:3] == 0).all())
    assert bool((out[3:] != 0).any(1).all())
    assert torch.allclose(out[4], out[5], atol=1e-6)
    assert not torch.allclose(out[3], out[4])
