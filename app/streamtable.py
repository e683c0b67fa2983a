"""Rows of `gistcast streameval` as a table in Markdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: of the tables: a row's cell under each head
COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "network": lambda row: f"`{row['network']}`" if row["network"] else "clean",
    "codec": lambda row: str(row["codec"]),
    "target kbps": lambda row: f"{row['kbps_target']:g}",
    "media": lambda row: f"{row['kbps_payload']:.1f}",
    "wire": lambda row: f"{row['kbps_wire']:.1f}",
    "PSNR": lambda row: f"{row['psnr_rgb']:.2f}",
    "LPIPS": lambda row: f"{row['lpips_alex']:.3f}",
    "shown": lambda row: f"{100 * row['rendered_ratio']:.1f} %",
    "stalls": lambda row: str(row["stalls"]),
    "stalled": lambda row: f"{100 * row['stall_ratio']:.1f} %",
    "first ms": lambda row: _ms(row["first_frame_ms"]),
    "delay p50": lambda row: _ms(row["delay_ms_p50"]),
    "p95": lambda row: _ms(row["delay_ms_p95"]),
    "p98": lambda row: _ms(row["delay_ms_p98"]),
}


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """The rows in Markdown."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    return lines + [f"| {' | '.join(show(row) for show in COLUMNS.values())} |" for row in rows]
