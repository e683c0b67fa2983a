"""gistcast: send what a clip is and where the receiver's sketch of it is wrong.

>>> data = gistcast.encode(frames, fps=25, quality=40)   # uint8 (T, H, W, 3) -> bytes
>>> frames = gistcast.decode(data)                       # and back

Names are imported when they are first asked for, so `import gistcast` costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gistcast.api import Encoder, Video, decode, encode, open
    from gistcast.codec.encoder import EncodeSettings
    from gistcast.codec.errors import (
        CorruptError,
        GistcastError,
        LimitError,
        ModelError,
        UsageError,
    )
    from gistcast.codec.packet import Packet

__all__ = [
    "CorruptError",
    "EncodeSettings",
    "Encoder",
    "GistcastError",
    "LimitError",
    "ModelError",
    "Packet",
    "UsageError",
    "Video",
    "decode",
    "encode",
    "open",
]
__version__ = "0.8.0"

_HOMES = {
    **dict.fromkeys(("Encoder", "Video", "decode", "encode", "open"), "gistcast.api"),
    "EncodeSettings": "gistcast.codec.encoder",
    "Packet": "gistcast.codec.packet",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'gistcast' has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOMES.get(name, "gistcast.codec.errors")), name)
        globals()[name] = value
        return value
