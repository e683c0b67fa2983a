"""Clips fitted to a budget: which layers go, how they are protected, what it costs."""

from __future__ import annotations

from types import ModuleType

import pytest

from gistcast.codec.packet import RESIDUAL
from gistcast.stream.congestion import MESSAGE_HEADERS
from gistcast.stream.fitting import Protection, fit_clip, packet_bytes, protection_for, withheld


@pytest.mark.parametrize("protection", [Protection(), Protection(3, 1), Protection(2, 2)])
def test_as_many_layers_as_the_budget_holds(toy: ModuleType, protection: Protection) -> None:
    packets = toy.toy_packets(0)
    whole = fit_clip(packets, toy.HEADER, protection, None)
    assert whole.packets == packets
    counts = []
    for budget in range(0, whole.wire_bytes + 1, 50):
        fitted = fit_clip(packets, toy.HEADER, protection, budget)
        count = len(fitted.packets)
        assert list(fitted.packets) == packets[:count]
        assert fitted.wire_bytes <= budget or count == 3  # text, latent and base always go
        if count < len(packets):
            assert fit_clip(packets[: count + 1], toy.HEADER, protection, None).wire_bytes > budget
        counts.append(count)
    assert counts == sorted(counts) and counts[0] == 3
    assert fit_clip(packets, toy.HEADER, protection, whole.wire_bytes).packets == packets
    assert fitted.messages.layers == sum(1 << p.layer for p in fitted.packets)
    assert max(p.layer for p in fitted.packets) >= RESIDUAL


def test_what_it_costs_is_what_is_sent(toy: ModuleType) -> None:
    fitted = fit_clip(toy.toy_packets(0), toy.HEADER, Protection(2, 1), None)
    sent = [*fitted.messages.residual, *[fitted.messages.inline] * 2]
    size = sum(len(data) + MESSAGE_HEADERS for data in sent)
    assert 0 <= fitted.wire_bytes - size <= 40  # the marker's own fields, twice


@pytest.mark.parametrize("protection", [Protection(), Protection(4, 1), Protection(2, 2)])
@pytest.mark.parametrize("budget", [1500, 4000, 12_000, 60_000])
def test_an_encoder_that_keeps_its_limit_is_not_cut(
    toy: ModuleType, protection: Protection, budget: int
) -> None:
    limit = packet_bytes(budget, protection)
    sizes = [min(400, limit // 2), *[900] * (max(0, limit - 600) // 910)]
    packets = toy.toy_packets(0, sizes)[2:]
    assert sum(len(p.to_bytes(toy.HEADER)) for p in packets) <= limit
    assert fit_clip(packets, toy.HEADER, protection, budget).packets == packets


def test_a_clip_that_is_withheld_keeps_the_names_of_its_layers(toy: ModuleType) -> None:
    fitted = fit_clip(toy.toy_packets(0), toy.HEADER, Protection(2, 2), None)
    bare = withheld(fitted)
    assert bare.messages.layers == fitted.messages.layers and not bare.packets
    assert not (bare.messages.inline or bare.messages.residual or bare.copies)
    assert MESSAGE_HEADERS < bare.wire_bytes < 200


def test_more_loss_more_protection() -> None:
    levels = [protection_for(loss / 100) for loss in range(60)]
    assert levels[0] == Protection() and levels[5].copies and levels[20].parity == 4
    strength = [(1 / p.parity if p.parity else 0) + p.copies for p in levels]
    assert strength == sorted(strength)
