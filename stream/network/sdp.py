"""Candidates of a session description (RFC 8839), read and replaced."""

from __future__ import annotations

import ipaddress

Address = tuple[str, int]  #: IP address and port


def first_candidate(sdp: str, *, version: int | None = None) -> Address | None:
    """The best UDP host candidate of the first media section that has any.

    Where sections are bundled (RFC 8843) the first one's transport is the one that is used.

    Args:
        sdp: a description.
        version: 4 or 6; None: either.

    Returns:
        None when there is none with an IP address (names of mDNS are not resolved).
    """
    for section in sdp.split("\nm=")[1:]:
        found = [c for line in section.splitlines() if (c := _parse(line, version))]
        if found:
            return max(found)[1]
    return None


def _parse(line: str, version: int | None) -> tuple[int, Address] | None:
    """(priority, address) of a candidate that a UDP relay can serve."""
    fields = line.removeprefix("a=candidate:").split()
    if not line.startswith("a=candidate:") or len(fields) < 8:
        return None
    _, component, transport, priority, host, port, _, kind = fields[:8]
    if component != "1" or transport.lower() != "udp" or kind != "host":
        return None
    try:
        address = ipaddress.ip_address(host)
        if version in (None, address.version) and 0 < int(port) < 1 << 16:
            return int(priority), (host, int(port))
    except ValueError:
        pass
    return None


def with_candidate(sdp: str, address: Address) -> str:
    """The description with `address` as the only candidate of every media section.

    The default addresses (`c=` and the port of `m=`) follow, as RFC 8839, 4.2.1.2 wants it.
    """
    host, port = address
    family = "IP6" if ":" in host else "IP4"
    out: list[str] = []
    replaced = True  # until a media section begins
    for line in sdp.splitlines():
        if line.startswith("m="):
            kind, _, rest = (*line.split(" ", 2), "", "")[:3]
            line, replaced = f"{kind} {port} {rest}", False
        elif line.startswith("c="):
            line = f"c=IN {family} {host}"
        elif line.startswith("a=candidate:"):
            if replaced:
                continue
            replaced = True
            line = f"a=candidate:1 1 udp 2130706431 {host} {port} typ host"
        out.append(line)
    return "\r\n".join(out) + "\r\n"
