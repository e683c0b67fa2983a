"""Files that come with a version of the code, and are read as they were released or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gistcast.codec.errors import ModelError


def released_file(path: Path, sha256: str) -> bytes:
    """The bytes of a file that came with this version.

    Raises:
        ModelError: it is missing, or not the one that was released.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ModelError(f"{path.name} is damaged or not the released file")
    return data
