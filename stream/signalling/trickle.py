"""The body of a trickle ICE request (RFC 8840): a fragment of a session description."""

from __future__ import annotations

from dataclasses import dataclass

from gistcast.codec.errors import CorruptError

MEDIA_TYPE = "application/trickle-ice-sdpfrag"
MAX_CANDIDATES = 64  #: of one fragment


@dataclass(frozen=True)
class IceFragment:
    """Candidates that come after the offer.

    Attributes:
        ufrag: user fragment of the ICE session they belong to.
        candidates: (mid of the media section, the fields behind `candidate:`).
        end: no further ones will come.
    """

    ufrag: str
    candidates: tuple[tuple[str, str], ...]
    end: bool


def parse_fragment(text: str) -> IceFragment:
    """Read a fragment; lines that mean nothing here are ignored.

    Raises:
        CorruptError: no user fragment, a candidate outside of a media section, or too many.
    """
    ufrag = mid = ""
    candidates: list[tuple[str, str]] = []
    end = False
    for line in text.splitlines():
        name, _, value = line.strip().partition(":")
        if name == "a=ice-ufrag":
            ufrag = value
        elif name == "a=mid":
            mid = value
        elif name == "a=end-of-candidates":
            end = True
        elif name == "a=candidate":
            if not mid:
                raise CorruptError("a candidate names no media section", field="sdpfrag")
            candidates.append((mid, value))
    if not ufrag:
        raise CorruptError("no ice-ufrag", field="sdpfrag")
    if len(candidates) > MAX_CANDIDATES:
        raise CorruptError(f"more than {MAX_CANDIDATES} candidates", field="sdpfrag")
    return IceFragment(ufrag, tuple(candidates), end)


def ice_ufrag(sdp: str) -> str:
    """The user fragment of a whole description; empty where it has none."""
    for line in sdp.splitlines():
        if line.startswith("a=ice-ufrag:"):
            return line.partition(":")[2].strip()
    return ""
