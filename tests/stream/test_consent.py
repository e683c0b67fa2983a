"""Consent to go on sending (RFC 7675): answers, the peer's own questions, and silence."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from gistcast.stream import connection, virtual


class Agent:
    """An ICE agent whose peer never answers."""

    local_password, remote_password = "here", "there"

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.seen: list[object] = []
        self.closed_at = 0.0
        self._now = asyncio.get_running_loop().time
        protocol = SimpleNamespace(request=self._request)
        self._nominated = {1: SimpleNamespace(protocol=protocol, remote_addr=("127.0.0.1", 9))}

    async def _request(self, *_: object, **__: object) -> None:
        self.asked.append(self._now())
        await asyncio.sleep(0.5)
        raise connection.stun.TransactionTimeout

    def build_request(self, *_: object, **__: object) -> None:
        return

    def request_received(self, message: object, *where: object) -> None:
        self.seen.append(message)

    async def close(self) -> None:
        self.closed_at = self._now()


def question(key: bytes) -> Any:
    return SimpleNamespace(check_message_integrity=lambda given: given == key)


@pytest.mark.parametrize(("key", "until"), [(b"here", 20 + 30), (b"other", 30)])
def test_a_peer_that_asks_has_consented(key: bytes, until: float) -> None:
    async def main() -> Agent:
        agent = Agent()
        keeping = asyncio.create_task(connection._keep_consent(agent))
        await asyncio.sleep(20)
        agent.request_received(question(key), ("127.0.0.1", 9), None)
        await keeping
        return agent

    agent = virtual.run(main())
    assert until - 1 < agent.closed_at < until + 1.6 and len(agent.seen) == 1
    pauses = [b - a for a, b in zip(agent.asked, agent.asked[1:], strict=False)]
    assert 4 <= agent.asked[0] <= 6 and pauses[-1] == pytest.approx(0.75)
    assert len([at for at in agent.asked if at > until - 14]) > 15
