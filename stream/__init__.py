"""The network: clips over WebRTC data channels, from one process to another.

    await receive(VideoSink(...), port=8787)                       # listens, WHIP
    await send(EncodedSource(...), "http://127.0.0.1:8787/whip")   # connects
    await view(VideoSink(...), "http://127.0.0.1:8787/whep")       # connects to a relay

`docs/streaming.md` describes the messages, the channels and the limits.
"""

from gistcast.stream.assemble import Limits, ReceivedClip
from gistcast.stream.link import Link, StreamError
from gistcast.stream.network import Network, parse_network
from gistcast.stream.receiver import ClipSink, ReceiveSettings, ReceiveSummary
from gistcast.stream.sender import ClipSource, SendSettings, SourceClip
from gistcast.stream.sent import Fit, SendSummary
from gistcast.stream.session import receive, send, view
from gistcast.stream.sinks import ClipDecoder, ClipWriter, GistSink, Tee, VideoSink
from gistcast.stream.sources import ClipEncoder, EncodedSource, GistSource

__all__ = [
    "ClipDecoder",
    "ClipEncoder",
    "ClipSink",
    "ClipSource",
    "ClipWriter",
    "EncodedSource",
    "Fit",
    "GistSink",
    "GistSource",
    "Limits",
    "Link",
    "Network",
    "ReceiveSettings",
    "ReceiveSummary",
    "ReceivedClip",
    "SendSettings",
    "SendSummary",
    "SourceClip",
    "StreamError",
    "Tee",
    "VideoSink",
    "parse_network",
    "receive",
    "send",
    "view",
]
