"""A peer connection that asks no server and, where told so, never leaves the loopback.

aiortc's RTCPeerConnection with what the rest of the stream needs of it: descriptions as text,
candidates one by one (trickle ICE), and all errors of aiortc's parser as one of ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
from collections.abc import Iterable
from functools import partial
from typing import Any

from aioice import stun
from aiortc import RTCConfiguration, RTCIceTransport, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

from gistcast.codec.errors import CorruptError

LOOPBACK = "127.0.0.1"
_CANDIDATE = "a=candidate:"
_ASK_SECONDS, _ASK_AGAIN_SECONDS, _CONSENT_SECONDS = 5.0, 1.0, 30.0


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine and nothing else."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Connection:
    """A peer connection.

        offerer:   (channels, tracks) -> offer() ... take(answer, "answer")
        answerer:  take(offer, "offer") -> (tracks) -> answer()

    Args:
        loopback: gather and accept 127.0.0.1 only; else every address of the machine.
    """

    def __init__(self, *, loopback: bool = True) -> None:
        self.rtc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._loopback = loopback

    async def offer(self) -> str:
        """The offer with all candidates, as SDP."""
        offer = await self.rtc.createOffer()
        self._confine()
        await self.rtc.setLocalDescription(offer)
        return str(self.rtc.localDescription.sdp)

    async def answer(self) -> str:
        """The answer to the offer that was taken, with all candidates.

        Raises:
            CorruptError: there is no answer to such an offer.
        """
        try:
            answer = await self.rtc.createAnswer()
            self._confine()
            await self.rtc.setLocalDescription(answer)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptError(f"the offer cannot be answered: {error}", field="sdp") from error
        return str(self.rtc.localDescription.sdp)

    async def take(self, sdp: str, kind: str) -> None:
        """Take the peer's description; `kind` is offer or answer.

        Raises:
            CorruptError: it is none.
        """
        if self._loopback:
            sdp = _loopback_candidates_only(sdp)
        description = RTCSessionDescription(sdp=sdp, type=kind)
        try:
            await self.rtc.setRemoteDescription(description)
        except Exception as error:  # the parser raises whatever Python does on bad text
            raise CorruptError(f"not a session description: {error!r}", field="sdp") from error

    def send_only(self) -> None:
        """Between an offer and its answer: take no media from the peer.

        Else aiortc decodes whatever comes, in native code, and frames that nobody reads pile up.
        """
        for transceiver in self.rtc.getTransceivers():
            transceiver.direction = "sendonly" if transceiver.sender.track else "inactive"

    async def trickle(self, candidates: Iterable[tuple[str, str]], *, end: bool) -> None:
        """Take candidates that came after the description.

        Args:
            candidates: (mid, the candidate's fields behind `candidate:`).
            end: no further ones will come.

        Raises:
            CorruptError: one of them is none.
        """
        dropped = False
        for mid, text in candidates:
            try:
                candidate = candidate_from_sdp(text)
            except (ValueError, AssertionError, IndexError) as error:
                raise CorruptError(f"not a candidate: {error}", field="candidate") from error
            if self._loopback and not is_loopback(candidate.ip):
                dropped = True
                continue
            candidate.sdpMid = mid
            await self.rtc.addIceCandidate(candidate)
        if end and not dropped:
            await self.rtc.addIceCandidate(None)

    async def close(self) -> None:
        """Hang up. May be called more than once."""
        await self.rtc.close()

    def _transports(self) -> set[RTCIceTransport]:
        found = {t.receiver.transport.transport for t in self.rtc.getTransceivers()}
        if self.rtc.sctp is not None:
            found.add(self.rtc.sctp.transport.transport)
        return found

    def _confine(self) -> None:
        """Keep ICE on the loopback, which its gatherer would leave out, and have it ask for
        consent as often as it takes.

        aiortc has no settings for either. This replaces methods of this connection's own ICE
        agents; nothing is patched for others.
        """
        for transport in self._transports():
            agent: Any = transport.iceGatherer._connection
            agent.query_consent = partial(_keep_consent, agent)
            if self._loopback:
                _gather_loopback(agent)


async def _keep_consent(agent: Any) -> None:
    """Ask the peer every five seconds whether it still wants anything (RFC 7675), and again every
    second until it answers, four times a second when half of the time is over; close after thirty
    seconds without an answer.

    A question of the peer's own is as good as an answer: it is authenticated, and who asks wants to
    go on. aioice counts answers alone, asks once in five seconds and closes after six questions
    without one. Where four packets of ten are lost each way, that is a minute away.
    """
    loop = asyncio.get_running_loop()
    heard = loop.time()
    answer = agent.request_received

    def asked(message: Any, *where: Any) -> None:
        nonlocal heard
        check = getattr(message, "check_message_integrity", None)  # aioice 0.13 and later
        if check is not None and check(agent.local_password.encode()):
            heard = loop.time()
        answer(message, *where)

    agent.request_received = asked
    while loop.time() - heard < _CONSENT_SECONDS:
        silent = loop.time() - heard
        wait = _ASK_SECONDS * random.uniform(0.8, 1.2)
        if silent > 1.2 * _ASK_SECONDS:
            wait = _ASK_AGAIN_SECONDS / (4 if silent > _CONSENT_SECONDS / 2 else 1)
        await asyncio.sleep(wait)
        for pair in agent._nominated.values():
            request = agent.build_request(pair, nominate=False)
            key = agent.remote_password.encode()
            with contextlib.suppress(stun.TransactionError):
                await pair.protocol.request(
                    request, pair.remote_addr, integrity_key=key, retransmissions=0
                )
                heard = loop.time()
    agent._query_consent_task = None
    await agent.close()


def _gather_loopback(agent: Any) -> None:
    gather = agent.get_component_candidates

    async def gather_loopback(component: int, addresses: list[str]) -> Any:
        del addresses
        return await gather(component=component, addresses=[LOOPBACK])

    agent.get_component_candidates = gather_loopback


def _loopback_candidates_only(sdp: str) -> str:
    """The description without candidates that are not this machine's own loopback.

    A browser hides its addresses behind mDNS names. Those go, too, and with them the promise
    that there are no others: it will call us, and ICE is not to give up before.
    """
    lines = sdp.splitlines()
    foreign = {line for line in lines if line.startswith(_CANDIDATE) and not _is_local(line)}
    if foreign:
        foreign.add("a=end-of-candidates")
    return "\r\n".join(line for line in lines if line not in foreign) + "\r\n"


def _is_local(candidate: str) -> bool:
    fields = candidate.split()
    return len(fields) > 4 and is_loopback(fields[4])
