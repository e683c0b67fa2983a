"""The tables of docs/bitstream.md say what the code does."""

from __future__ import annotations

import hashlib
import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load

import gistcast.codec.tables
from gistcast.codec import clip, context, header, layout, packet, quantiser, text
from gistcast.codec.errors import CorruptError
from gistcast.codec.kernels import wavelet
from gistcast.codec.sketch import GREY
from gistcast.codec.tables import (
    ACTIVATION_MAX,
    LARGEST_SIGNED,
    LOGIT_LIMIT,
    PLAIN,
    RECONSTRUCTION_BUCKETS,
    SIGNS,
    WEIGHT_UNIT,
)

ROOT = Path(__file__).parent.parent.parent
DOCUMENT = (ROOT / "docs" / "bitstream.md").read_text()
CODEC = Path(gistcast.codec.tables.__file__).parent
TABLES = (CODEC / "tables" / "residual-2.safetensors").read_bytes()


def _rows(heading: str) -> list[list[str]]:
    """Cells of the first table behind a heading, without its head; backticks are dropped."""
    _, found, behind = DOCUMENT.partition(f"\n#### {heading}\n")
    if not found:
        _, found, behind = DOCUMENT.partition(f"\n## {heading}\n")
    assert found, heading
    table = re.search(r"(?:^\|.*\n?)+", behind, re.M)
    assert table is not None
    lines = table[0].strip().splitlines()[2:]
    return [[c.strip().replace("`", "") for c in line.strip("|").split("|")] for line in lines]


def _section(number: str) -> str:
    found = re.search(rf"^##+ {re.escape(number)}[. ].*?(?=^## |^### |\Z)", DOCUMENT, re.M | re.S)
    assert found is not None, number
    return found[0]


def test_frame_rates() -> None:
    rates = {int(code): Fraction(rate) for code, rate in _rows("Frame rates")}
    assert rates == dict(enumerate(header.RATES, start=1))


def test_kind_bits() -> None:
    bits = [int(row[0], 16) for row in _rows("Kind")]
    written = [
        packet.Packet(0, 15, b"").to_bytes(b"")[0],
        packet.Packet(0, 0, b"", last=True).to_bytes(b"")[0],
        packet.Packet(0, 0, b"", frames=1).to_bytes(b"")[0],
        packet.Packet(0, 0, b"", pts=1).to_bytes(b"")[0],
        packet.INDEX_CHUNK,
    ]
    assert bits == written
    assert "0 text, 1 latent, 2 + k residual.k" in DOCUMENT
    assert (packet.TEXT, packet.LATENT, packet.RESIDUAL) == (0, 1, 2)


@pytest.mark.parametrize(
    ("what", "smallest", "largest"),
    [
        ("width, height", 1, clip.MAX_SIDE),
        ("width x height", 1, clip.MAX_PIXELS),
        ("seed", 0, header.MAX_SEED),
        ("frames", 1, clip.MAX_FRAMES),
        ("pts", 0, packet.MAX_PTS),
        ("length", 0, packet.MAX_PAYLOAD),
        ("layer", 0, packet.MAX_LAYER),
        ("bytes of text", 0, text.MAX_TEXT),
        ("quantiser", 0, quantiser.QUANTISERS - 1),
        ("wavelet levels", 0, layout.MAX_RANK),
        ("temporal group", 0, layout.MAX_TEMPORAL_GROUP),
        ("magnitude written", 1, quantiser.MAX_MAGNITUDE),
        ("features", context.FEATURES, context.FEATURES),
    ],
)
def test_limits(what: str, smallest: int, largest: int) -> None:
    limits = {row[0]: row[1:] for row in _rows("Limits")}
    assert limits[what] == [str(smallest), str(largest)]


def test_limits_of_the_frame_rate() -> None:
    limits = {row[0]: row[2] for row in _rows("Limits")}
    head = b"GST\x30\x02\x01\x01\x00"
    for numerator, denominator, good in (
        (int(limits["rate numerator"]), int(limits["rate denominator"]), True),
        (int(limits["rate numerator"]) + 1, int(limits["rate denominator"]), False),
        (1, int(limits["rate denominator"]) + 1, False),
        (int(limits["frames a second"]), 1, True),
        (int(limits["frames a second"]) + 1, 1, False),
    ):
        data = head + packet.put_varint(numerator) + packet.put_varint(denominator) + b"tabl"
        if good:
            assert header.parse_header(data)[0].fps == Fraction(numerator, denominator)
        else:
            with pytest.raises(CorruptError):
                header.parse_header(data)


def test_version_and_clip_lengths() -> None:
    assert f"format {header.MAJOR}.{header.MINOR}" in DOCUMENT.splitlines()[0]
    assert "0 is 8 frames, 1 is 16, 2 is 32" in DOCUMENT
    assert clip.CLIP_FRAMES == (8, 16, 32)


def test_features_are_numbered() -> None:
    assert [int(row[0]) for row in _rows("Features")] == list(range(context.FEATURES))


def test_inputs_of_the_sign_network_are_numbered() -> None:
    numbers: list[int] = []
    for index, *_ in _rows("Signed inputs"):
        ends = [int(part) for part in re.split(r", |\.\.", index)]
        numbers += range(ends[0], ends[-1] + 1) if ".." in index else ends
    assert numbers == list(range(SIGNS + PLAIN))
    assert f"clipped to -{LARGEST_SIGNED}..{LARGEST_SIGNED}" in _section("12.1")


def test_log_is_the_integer_formula() -> None:
    assert "min(64, floor(n / 2)), where n is the number of binary digits of (1 + m)^16" in DOCUMENT
    integers = [min(64, ((1 + m) ** 16).bit_length() // 2) for m in range(512)]
    assert context.LOG.tolist() == integers


def test_tensors() -> None:
    codes = {"I8": "int8", "I16": "int16", "U16": "uint16", "I32": "int32"}
    stated = {
        name: (codes[dtype], tuple(map(int, shape.split(" x "))))
        for name, dtype, shape in _rows("Tensors")
    }
    tensors = load(TABLES)
    assert stated == {name: (str(a.dtype), a.shape) for name, a in tensors.items()}
    assert "`probability` and `presence` are in 1..65535" in DOCUMENT
    assert min(tensors["probability"].min(), tensors["presence"].min()) >= 1


@pytest.mark.parametrize(("versions", "name"), [((3,), "3.0"), ((1, 2), "1.0 and 2.0")])
def test_tables_of_every_version(versions: tuple[int, ...], name: str) -> None:
    stated = dict(_rows(f"Tables of {name}"))
    data = (ROOT / stated["file"]).read_bytes()
    assert (data == TABLES) == (header.MAJOR in versions)
    assert int(stated["bytes"]) == len(data)
    assert stated["SHA-256"] == hashlib.sha256(data).hexdigest()
    for version in versions:
        assert stated["header field"] == header.tables_hash(version).hex()


def test_dictionary() -> None:
    words = text.dictionary()
    assert f"the {len(words)} bytes" in DOCUMENT
    assert hashlib.sha256(words).hexdigest() in DOCUMENT
    samples = (ROOT / "codec" / "tables" / "text-2.txt").read_bytes()
    assert f"the {len(samples)} bytes" in DOCUMENT
    assert hashlib.sha256(samples).hexdigest() in DOCUMENT


def test_network_constants() -> None:
    section = _section("11.3")
    assert f"in units of 1/{int(WEIGHT_UNIT)}" in section
    assert section.count(f"/ {int(WEIGHT_UNIT)})") == 3
    assert section.count(f"0, {int(ACTIVATION_MAX)})") == 2
    assert f"-{LOGIT_LIMIT}, {LOGIT_LIMIT - 1})" in section
    assert f"z[c] + {LOGIT_LIMIT}]" in section


def test_unary_and_escape() -> None:
    assert f"For m = 2, 3, .. {quantiser.UNARY}:" in DOCUMENT
    assert f"magnitude above {quantiser.UNARY}" in DOCUMENT
    limits = {row[0]: row[2] for row in _rows("Limits")}
    largest = quantiser.UNARY + 1 + 2**19 + (2**19 - 1) - 4
    assert int(limits["magnitude read"]) == largest


def test_steps_and_points() -> None:
    section = _section("14")
    cb, cr = quantiser.CHROMA_STEP
    assert f"Cb's is {cb} times, Cr's {cr} times" in section
    assert "4 * 2^(quantiser / 24)" in section
    for index in (0, 1, 24, 100, 255):
        assert math.isclose(quantiser.luma_step(index), 4 * 2 ** (index / 24), rel_tol=1e-12)
    assert f"(z + 96) / 24), 0, {RECONSTRUCTION_BUCKETS - 1})" in section
    logits = np.arange(-LOGIT_LIMIT, LOGIT_LIMIT)
    buckets = [min(7, max(0, math.floor((z + 96) / 24))) for z in logits.tolist()]
    assert quantiser.bucket((logits + LOGIT_LIMIT).astype(np.int16)).tolist() == buckets
    assert f"Otherwise it is {int(GREY)} everywhere" in _section("6")


def test_wavelet_constants() -> None:
    stated = [float(row[1]) for row in _rows("Wavelet")]
    assert stated == [*wavelet.LIFTING, wavelet.LOW_GAIN]


def test_first_groups() -> None:
    made = layout.make_layout(4, 9, 7)
    assert f"there are {len(made.groups)} groups" in DOCUMENT
    stated = [tuple(map(int, row)) for row in _rows("First groups of 7 x 9")]
    groups = [(g.index, g.plane, *g.band, g.temporal) for g in made.groups]
    assert stated == groups[: len(stated)]


def test_example_is_the_file() -> None:
    stated = bytes.fromhex("".join(row[0] for row in _rows("Example")))
    assert stated == (ROOT / "tests" / "golden" / "v3" / "flat-odd.gist").read_bytes()


def test_errors_name_fields_of_the_document() -> None:
    sources = "".join(p.read_text() for p in CODEC.glob("*.py"))
    fields = set(re.findall(r'field="(\w+)"', sources))
    assert len(fields) > 10
    for name in fields:
        assert f"`{name}`" in DOCUMENT, name
