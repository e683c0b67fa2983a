"""Signalling by HTTP: WHIP (RFC 9725) in, WHEP (draft-ietf-wish-whep) out, both sides of each.

    OPTIONS /whip         what can be posted
    POST    /whip         application/sdp offer  -> 201, Location, ETag, application/sdp answer
    PATCH   /whip/<id>    application/trickle-ice-sdpfrag -> 204
    DELETE  /whip/<id>    -> 200

`endpoint.py` is one such resource, `guard.py` decides who may talk to it, `server.py` is the
HTTP server around both, `client.py` the other side.
"""

from gistcast.stream.signalling.client import WhipSession, whip_connect
from gistcast.stream.signalling.endpoint import (
    CONNECT_SECONDS,
    MAX_SDP,
    Endpoint,
    Peer,
    RefusedError,
    SessionLimits,
)
from gistcast.stream.signalling.guard import Access
from gistcast.stream.signalling.server import (
    STALE_SECONDS,
    WHEP,
    WHIP,
    HttpServer,
    WhipListener,
)

__all__ = [
    "CONNECT_SECONDS",
    "MAX_SDP",
    "STALE_SECONDS",
    "WHEP",
    "WHIP",
    "Access",
    "Endpoint",
    "HttpServer",
    "Peer",
    "RefusedError",
    "SessionLimits",
    "WhipListener",
    "WhipSession",
    "whip_connect",
]
