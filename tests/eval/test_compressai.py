"""Networks of CompressAI's zoo, small and with random weights, through their real streams."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gistcast.codec.clip import Clip
from gistcast.codec.colour import float_rgb_to_clip
from gistcast.codec.errors import CorruptError, GistcastError, ModelError, UsageError
from gistcast.eval.codecs import compressai_zoo as zoo
from gistcast.eval.codecs.base import Codec, Coded, Geometry
from gistcast.eval.codecs.compressai import CompressaiCodec, _to_tensor
from gistcast.eval.codecs.plugin import load_codec

if reason := zoo.available():
    pytest.skip(reason, allow_module_level=True)

FPS = Fraction(25)
WIDTHS = {"mbt2018": (12, 12), "cheng2020-anchor": (12,), "cheng2020-attn": (12,), "ssf2020": ()}
AUTOREGRESSIVE = ("mbt2018", "cheng2020-anchor", "cheng2020-attn")
images = pytest.mark.parametrize("network", zoo.IMAGE_NETWORKS)


def save_network(network: str, path: Path, *, updated: bool = True, seed: int = 0) -> Any:
    """A network of random weights whose latents are worth coding, and its file."""
    zoo.package()
    place = "video" if network in zoo.VIDEO_NETWORKS else "image"
    architectures = sys.modules[f"compressai.zoo.{place}"].model_architectures
    torch.manual_seed(seed)
    model = architectures[network](*WIDTHS.get(network, (12, 18)))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # encoders' last layers: random ones give latents of hardly a quantiser step
            if name.endswith("weight") and name.startswith(("g_a.6", "img_encoder.6")):
                weight *= 30
    if updated:
        model.update()
    tensors = {name: t.contiguous().clone() for name, t in model.state_dict().items()}
    save_file(tensors, path)
    return model.eval()


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[CompressaiCodec, Any]]:
    """network -> its codec and the network itself, made once."""
    made: dict[str, tuple[CompressaiCodec, Any]] = {}
    folder = tmp_path_factory.mktemp("weights")

    def of(network: str) -> tuple[CompressaiCodec, Any]:
        if network not in made:
            model = save_network(network, folder / f"{network}-3-0123abcd.safetensors")
            codec = load_codec(f"compressai:{network}@{folder}")
            assert isinstance(codec, CompressaiCodec)
            made[network] = codec, model
        return made[network]

    return of


def shown_by(model: Any, clip: Clip) -> Clip:
    """What the network itself makes of every frame, without any stream."""
    frames = _to_tensor(clip, 64)
    with torch.inference_mode():
        rgb = torch.cat([model(frame)["x_hat"] for frame in frames]).clamp(0, 1)
    rgb = rgb[..., : clip.height, : clip.width]
    return float_rgb_to_clip(rgb.permute(0, 2, 3, 1).numpy() * np.float32(255))


def distance(a: Clip, b: Clip) -> int:
    return max(
        int(np.abs(p.astype(int) - q).max()) for p, q in zip(a.planes, b.planes, strict=True)
    )


@images
def test_streams_carry_what_the_network_shows(
    network: str, make: Callable[[str], tuple[CompressaiCodec, Any]], short_clip: Clip
) -> None:
    codec, model = make(network)
    clip = short_clip[:2]
    coded = codec.encode(clip, FPS, 3.0)
    assert len(coded.packets) == 2 and coded.seconds > 0
    decoded = codec.decode(coded, Geometry.of(clip))[""]
    assert decoded.y.std() > 1  # not a flat picture
    if network in AUTOREGRESSIVE:  # these quantise around means that only coding knows
        frames = _to_tensor(clip, 64)
        with torch.inference_mode(), zoo.quiet():
            rgb = [model.decompress(**model.compress(frame))["x_hat"] for frame in frames]
        expected = float_rgb_to_clip(torch.cat(rgb).permute(0, 2, 3, 1).numpy() * np.float32(255))
    else:
        expected = shown_by(model, clip)
    assert distance(decoded, expected) <= 1


def test_video_network(
    make: Callable[[str], tuple[CompressaiCodec, Any]], short_clip: Clip
) -> None:
    codec, model = make("ssf2020")
    clip = short_clip[:3]
    coded = codec.encode(clip, FPS, 3.0)
    decoded = codec.decode(coded, Geometry.of(clip))[""]
    with torch.inference_mode():
        frames = model([frame for frame in _to_tensor(clip, 128)])["x_hat"]
    rgb = torch.cat(frames).clamp(0, 1)[..., :64, :64]
    expected = float_rgb_to_clip(rgb.permute(0, 2, 3, 1).numpy() * np.float32(255))
    assert distance(decoded, expected) <= 1
    assert len(coded.packets) == 3
    # a later frame sends motion and residual, each with two strings
    again = codec.encode(clip, FPS, 3.0)
    assert again.packets == coded.packets


def test_every_byte_is_a_stream_or_said(
    make: Callable[[str], tuple[CompressaiCodec, Any]], short_clip: Clip
) -> None:
    codec, model = make("mbt2018-mean")
    clip = short_clip[:2]
    coded = codec.encode(clip, FPS, 3.0)
    with torch.inference_mode():
        strings = [model.compress(frame)["strings"] for frame in _to_tensor(clip, 64)]
    alone = sum(len(one) for frame in strings for (one,) in frame)
    lengths = sum(1 + (len(frame[0][0]) > 127) for frame in strings)
    assert coded.bytes == alone + lengths + 3  # quality, width and height
    assert "weights are not counted" in codec.counted


def test_frames_are_padded_and_cropped(
    make: Callable[[str], tuple[CompressaiCodec, Any]], moving_clip: Callable[..., Clip]
) -> None:
    codec, model = make("bmshj2018-hyperprior")
    clip = moving_clip(1, 34, 70)
    assert [tuple(frame.shape) for frame in _to_tensor(clip, 64)] == [(1, 3, 64, 128)]
    decoded = codec.decode(codec.encode(clip, FPS, 3.0), Geometry.of(clip))[""]
    assert decoded.y.shape == (1, 34, 70) and distance(decoded, shown_by(model, clip)) <= 1


def test_decoding_needs_nothing_but_the_packets(
    make: Callable[[str], tuple[CompressaiCodec, Any]], short_clip: Clip
) -> None:
    codec, _ = make("mbt2018-mean")
    first, second = short_clip[:1], short_clip[4:5]
    a, b = codec.encode(first, FPS, 3.0), codec.encode(second, FPS, 3.0)
    codec.decode(b, Geometry.of(second))
    alone = codec.decode(Coded(a.packets), Geometry.of(first))[""]
    assert distance(alone, codec.decode(a, Geometry.of(first))[""]) == 0
    assert distance(alone, codec.decode(b, Geometry.of(second))[""]) > 0


def test_damage_is_an_error_or_a_picture_but_never_a_crash(
    make: Callable[[str], tuple[CompressaiCodec, Any]], short_clip: Clip
) -> None:
    codec, _ = make("mbt2018-mean")
    clip = short_clip[:1]
    (packet,) = codec.encode(clip, FPS, 3.0).packets
    like = Geometry.of(clip)
    rng = np.random.default_rng(0)
    for _ in range(12):
        noise = packet[:4] + rng.bytes(int(rng.integers(0, 200)))
        for damaged in (
            noise,
            packet[: int(rng.integers(4, len(packet)))],
            packet[:5] + b"\xff" * 99,
        ):
            try:
                assert codec.decode(Coded((damaged,)), like)[""].y.shape == tuple(like)
            except CorruptError as error:
                assert error.field
    for wrong in ((), (b"",), (packet, packet), (b"\x03\x40\x41" + packet[3:],)):
        with pytest.raises(CorruptError):
            codec.decode(Coded(wrong), like)
    with pytest.raises(UsageError, match="no weights of quality 4"):
        codec.decode(Coded((b"\x04" + packet[1:],)), like)


def test_weights_are_found_by_the_zoo_s_names(tmp_path: Path) -> None:
    for name in (
        "mbt2018-mean-5-x",
        "mbt2018-mean-2-y",
        "mbt2018-mean-ms-ssim-1-z",
        "mbt2018-1",
        "cheng2020_attn-mse-6-730501f2",
        "other-1",
    ):
        (tmp_path / f"{name}.safetensors").touch()
    find = zoo.find_weights
    assert list(find("mbt2018-mean", "mse", tmp_path)) == [2, 5]
    assert list(find("mbt2018-mean", "ms-ssim", tmp_path)) == [1]
    assert list(find("mbt2018", "mse", tmp_path)) == [1]
    assert list(find("cheng2020-attn", "mse", tmp_path)) == [6]
    assert list(find("mbt2018", "mse", tmp_path / "mbt2018-1.safetensors")) == [1]
    (tmp_path / "mbt2018-mean-5.safetensors").touch()
    with pytest.raises(UsageError, match="are both mbt2018-mean 5"):
        find("mbt2018-mean", "mse", tmp_path)


def test_every_file_of_the_zoo_is_known_by_its_name() -> None:
    for network in zoo.IMAGE_NETWORKS + zoo.VIDEO_NETWORKS:
        for loss in zoo.LOSSES if network in zoo.IMAGE_NETWORKS else ("mse",):
            urls = zoo._zoo_urls(network, loss)
            assert len(urls) in (6, 8, 9)
            for quality, url in enumerate(urls, 1):
                stem = url.rpartition("/")[2].removesuffix(".pth.tar")
                assert zoo._quality(stem, network, loss) == quality


def test_missing_weights_say_what_to_get(tmp_path: Path) -> None:
    for spec in ("compressai:mbt2018-mean", f"compressai:mbt2018-mean@{tmp_path}"):
        with pytest.raises(
            UsageError, match=r"Get mbt2018-mean-1-e522738d\.pth\.tar, .* from https"
        ):
            load_codec(spec)
    with pytest.raises(UsageError, match="no network 'mbt2019'"):
        load_codec("compressai:mbt2019@x")


def test_weights_that_cannot_be_used(tmp_path: Path, short_clip: Clip) -> None:
    path = tmp_path / "mbt2018-mean-1.safetensors"
    path.write_bytes(b"\x80\x04 a pickle, not tensors")
    codec = load_codec(f"compressai:mbt2018-mean@{tmp_path}")
    with pytest.raises(ModelError, match="is not a safetensors file"):
        codec.encode(short_clip[:1], FPS, 1.0)
    save_network("bmshj2018-factorized", path)
    with pytest.raises(ModelError, match="is not a mbt2018-mean"):
        codec.encode(short_clip[:1], FPS, 1.0)
    with pytest.raises(UsageError, match="no weights of quality 2"):
        codec.settings(2.0)


def test_other_weights_are_other_results(tmp_path: Path, short_clip: Clip) -> None:
    path = tmp_path / "mbt2018-mean-1.safetensors"
    save_network("mbt2018-mean", path, updated=False)
    codec = load_codec(f"compressai:mbt2018-mean@{path}")
    before, coded = codec.settings(1.0), codec.encode(short_clip[:1], FPS, 1.0)
    assert "mbt2018-mean-1.safetensors" in before and torch.__version__ in before
    save_network("mbt2018-mean", path, seed=1)
    assert codec.settings(1.0) != before
    assert codec.encode(short_clip[:1], FPS, 1.0).packets != coded.packets


def test_a_single_symbol_would_abort_the_process(tmp_path: Path, short_clip: Clip) -> None:
    zoo.package()
    model = sys.modules["compressai.zoo.image"].FactorizedPrior(4, 1)
    model.update()
    tensors = {name: t.contiguous() for name, t in model.state_dict().items()}
    path = tmp_path / "bmshj2018-factorized-1.safetensors"
    save_file(tensors, path)
    with pytest.raises(ModelError, match="fewer than two channels"):
        load_codec(f"compressai:bmshj2018-factorized@{path}").encode(short_clip[:1], FPS, 1.0)


def test_threads_are_put_back(
    make: Callable[[str], tuple[CompressaiCodec, Any]], short_clip: Clip
) -> None:
    codec, _ = make("bmshj2018-factorized")
    assert isinstance(codec, Codec) and codec.points == (3.0,)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        coded = codec.encode(short_clip[:1], FPS, 3.0)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    with pytest.raises(GistcastError):
        codec.decode(replace(coded, packets=(b"\x03",)), Geometry.of(short_clip[:1]))


def test_nothing_of_torchvision_is_needed() -> None:
    assert sys.modules["compressai"].get_entropy_coder() == "ans"
    assert zoo.available() == ""
