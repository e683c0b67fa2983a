"""gistcast: send what a clip is and where the receiver's sketch of it is wrong.

>>> data = gistcast.encode(frames, fps=25, quality=40)   # uint8 (T, H, W, 3) -> bytes
>>> frames = gistcast.decode(data)                       # and back
"""

from gistcast.api import Encoder, Video, decode, encode, open
from gistcast.codec.errors import CorruptError, GistcastError, LimitError, ModelError, UsageError
from gistcast.codec.packet import Packet

__all__ = [
    "CorruptError",
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
__version__ = "0.5.0"
