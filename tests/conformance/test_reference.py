"""The second decoder agrees with gistcast.codec, symbol for symbol."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

import gistcast.codec.tables
from gistcast.codec.clip import Clip
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.errors import CorruptError
from gistcast.codec.file import decode_video, encode_video, read_gist
from gistcast.codec.header import Header
from gistcast.codec.latent import decode_latent
from gistcast.codec.media import VideoInfo
from gistcast.codec.motion import Motion, put_motion
from gistcast.codec.packet import RESIDUAL, Chunk, Packet
from gistcast.codec.rangecoder import FlagDecoder, FlagEncoder
from gistcast.codec.text import decode_text, dictionary, encode_text

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden"
EXPECTED = {
    f"{path.parent.name}/{name}": facts
    for path in sorted(GOLDEN.glob("v*/symbols.json"))
    for name, facts in json.loads(path.read_text()).items()
}
DATA = Path(gistcast.codec.tables.__file__).parent / "tables"
TABLES = {  # by major version
    version: (DATA / f"residual-{edition}.safetensors").read_bytes()
    for version, edition in ((1, 1), (2, 1), (3, 2))
}
WORDS = (DATA / "text-1.txt").read_bytes().rstrip(b"\n")
SAMPLES = (DATA / "text-2.txt").read_bytes()


def _module(folder: Path, name: str) -> ModuleType:
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location(f"conformance_{name}", folder / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(folder))


reference = _module(HERE, "reference")
make = _module(GOLDEN, "make")
FREQUENCIES = make.ToyGist().latent_frequencies.tolist()
VIDEO_TABLES = reference.VideoTables(
    (DATA / "video-1.safetensors").read_bytes(),
    (HERE.parent.parent / "docs" / "bitstream.md").read_text(),
)


def _av1(units: list[bytes]) -> list[tuple[list[bytes], ...]]:
    """Rows of each plane of each frame; no packet at all for what does not decode."""
    context = av.CodecContext.create("libdav1d", "r")
    context.thread_count = 1
    frames = []
    try:
        for unit in units:
            frames += context.decode(av.Packet(unit))
        frames += context.decode(None)
    except av.FFmpegError:
        return []
    return [tuple(_rows(plane) for plane in frame.planes) for frame in frames]


def _rows(plane: av.VideoPlane) -> list[bytes]:
    data = bytes(plane)
    return [data[at : at + plane.width] for at in range(0, len(data), plane.line_size)]


def _reference_hashes(data: bytes) -> list[str]:
    clips = reference.decode(
        data, TABLES[data[3] >> 4], WORDS, FREQUENCIES, VIDEO_TABLES, _av1, SAMPLES
    )
    return [c.sha256() for c in clips]


def _codec_hashes(data: bytes) -> list[str]:
    return [make.symbol_hash(d) for d in decode_video(data, make.ToyGist())]


def test_it_shares_no_code() -> None:
    for path in HERE.glob("reference*.py"):
        text = path.read_text()
        for word in ("import gistcast", "from gistcast", "numpy", "constriction", "crc32c as"):
            assert word not in text, f"{path.name}: {word}"


@pytest.mark.parametrize("name", EXPECTED)
def test_golden(name: str) -> None:
    data = (GOLDEN / f"{name}.gist").read_bytes()
    assert _reference_hashes(data) == EXPECTED[name]["symbols"]


@pytest.mark.parametrize(
    ("frames", "height", "width", "quality"),
    [
        (1, 1, 1, 90),
        (2, 2, 2, 95),
        (7, 1, 9, 90),
        (3, 2, 50, 80),
        (9, 5, 6, 95),
        (32, 12, 10, 70),
        (5, 33, 17, 60),
        (6, 19, 70, 40),
    ],
)
def test_sizes(
    moving_clip: Callable[..., Clip], frames: int, height: int, width: int, quality: int
) -> None:
    """Odd, tiny and narrow frames, where bands differ by one and planes lack levels."""
    settings = EncodeSettings(quality=quality, residual_layers=3)
    info = VideoInfo(width, height, Fraction(25))
    data = encode_video([moving_clip(frames, height, width)], info, settings)
    assert _reference_hashes(data) == _codec_hashes(data)


def test_contrasts_that_need_escapes() -> None:
    rng = np.random.default_rng(3)
    planes = [rng.choice([0, 255], (4, n, n)).astype(np.uint8) for n in (8, 4, 4)]
    data = encode_video([Clip(*planes)], VideoInfo(8, 8, Fraction(25)), EncodeSettings(quality=100))
    (clip,) = reference.decode(data, TABLES[data[3] >> 4], WORDS)
    rows = [row for plane in clip.residual.levels for b in plane.values() for p in b for row in p]
    assert sum(abs(level) > 15 for row in rows for level in row) > 50
    assert [clip.sha256()] == _codec_hashes(data)


def _stream(payloads: list[bytes], frames: int = 6, height: int = 9, width: int = 12) -> bytes:
    header = Header(width, height, Fraction(25), 8).to_bytes()
    packets = [Packet(0, RESIDUAL + k, p, False, frames) for k, p in enumerate(payloads)]
    return bytes(header) + b"".join(p.to_bytes(header) for p in packets)


@pytest.mark.parametrize("seed", range(12))
def test_any_payload(seed: int) -> None:
    """Random bytes behind a good checksum: the same levels, the same layers given up."""
    rng = np.random.default_rng(seed)
    payloads = [rng.bytes(int(rng.integers(0, 60))) for _ in range(3)]
    payloads[0] = rng.bytes(1) + bytes([seed % 5]) + payloads[0]
    data = _stream(payloads)
    assert _reference_hashes(data) == _codec_hashes(data)


def test_damaged_layers_are_given_up_alike(moving_clip: Callable[..., Clip]) -> None:
    encoder = Encoder(VideoInfo(12, 9, Fraction(25)), EncodeSettings(quality=70, residual_layers=3))
    payloads = [p.payload for p in encoder.encode_clip(moving_clip(6, 9, 12))]
    used = []
    for index, payload in enumerate(payloads):
        for bad in (b"", b"\xff" * len(payload), payload[:1] + b"\xff" * 40):
            data = _stream([*payloads[:index], bad, *payloads[index + 1 :]])
            assert _reference_hashes(data) == _codec_hashes(data)
            used.append(reference.decode(data, TABLES[data[3] >> 4], WORDS)[0].residual.layers)
    assert {0, 1, 2} <= set(used)


@pytest.mark.parametrize(
    "text",
    [
        "a man plays golf in the pool",
        "",
        "a man ïn 🏌 and\nsnow",
        "goolf",
        "a man in red swims, two women sail, a child rides a horse on the beach",
    ],
)
def test_predicted_letters(text: str) -> None:
    data = encode_text(text)
    assert data[0] & 6 == 6 or not text.isascii()
    assert reference.decode_text(data, WORDS, SAMPLES) == text
    for cut in range(1, len(data)):
        try:
            expected = decode_text(data[:cut])
        except CorruptError:
            with pytest.raises(reference.CorruptInputError):
                reference.decode_text(data[:cut], WORDS, SAMPLES)
        else:
            assert reference.decode_text(data[:cut], WORDS, SAMPLES) == expected


@pytest.mark.parametrize("seed", range(8))
def test_motion(seed: int) -> None:
    """The same canvas and the same levels on it; three motions go too far and are given up, and the
    levels behind one are found out."""
    rng = np.random.default_rng(seed)
    kind, terms = (2, 6)[seed % 2], int(rng.integers(1, 9))
    largest = {6: 400, 7: 9000}.get(seed, 4)
    rows = rng.integers(-largest, largest + 1, (kind, terms))
    flags = FlagEncoder()
    put_motion(flags, Motion(int(rng.integers(0, 3)), tuple(map(tuple, rows.tolist()))))
    flags.put(rng.integers(0, 2, 90), np.full(90, 32768))
    height, width = int(rng.integers(8, 24)), int(rng.integers(8, 24))
    data = _stream([b"\x70\0" + flags.finish()], int(rng.integers(1, 9)), height, width)
    (clip,) = reference.decode(data, TABLES[data[3] >> 4], WORDS)
    assert (clip.residual.motion is None) == (seed in (0, 3, 6, 7))
    assert [clip.sha256()] == _codec_hashes(data)


def test_range_coder() -> None:
    rng = np.random.default_rng(1)
    refused = 0
    for trial in range(300):
        data = b"\xff" * 9 if trial % 5 == 0 else rng.bytes(int(rng.integers(0, 30)))
        extremes = rng.choice([1, 2, 32767, 32768, 32769, 65534, 65535], 200)
        chances = extremes if trial % 2 else rng.integers(1, 65536, 200)
        coder = reference.RangeDecoder(data)
        try:
            flags = FlagDecoder(data).get(chances).tolist()
        except CorruptError:
            refused += 1
            with pytest.raises(reference.CorruptInputError):
                [coder.flag(int(k)) for k in chances]
            continue
        assert [coder.flag(int(k)) for k in chances] == flags
    assert 0 < refused < 300


def test_latents_and_texts_of_garbage() -> None:
    rng = np.random.default_rng(2)
    frequencies = make.ToyGist().latent_frequencies
    for _ in range(100):
        data = rng.bytes(int(rng.integers(0, 12)))
        for ours, theirs in (
            (lambda d: decode_latent(d, frequencies).tolist(), reference.decode_latent),
            (decode_text, partial(reference.decode_text, samples=SAMPLES)),
        ):
            other = FREQUENCIES if theirs is reference.decode_latent else dictionary()
            try:
                expected = ours(data)
            except CorruptError:
                with pytest.raises(reference.CorruptInputError):
                    theirs(data, other)
            else:
                assert theirs(data, other) == expected


def test_files_with_damage_and_unknown_chunks() -> None:
    data = (GOLDEN / "v2" / "layers-64.gist").read_bytes()
    header = read_gist(data).header_bytes
    second = read_gist(data).clips[1].offset
    strange = Chunk(0xF3, b"later").to_bytes(header)
    for at in (len(header) + 1, 90, second - 2, second + 1, len(data) - 1):
        damaged = bytearray(data)
        damaged[at] ^= 0x41
        file = bytes(damaged[:second]) + strange + bytes(damaged[second:])
        _, clips = reference.read_clips(file)
        theirs = [
            (n, [(p.layer, p.frames, p.pts, p.payload) for p in packets]) for n, packets in clips
        ]
        ours = [
            (c.number, [(p.layer, p.frames, p.pts, p.payload) for p in c.packets])
            for c in read_gist(file).clips
        ]
        assert ours == theirs
