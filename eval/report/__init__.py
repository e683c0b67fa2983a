"""`report.html`: one file that needs no network, for people who doubt the figures.

results.json + film strips --page--> tables (HTML), columns of rows (gzip), pictures (WebP)
"""

from __future__ import annotations

from gistcast.eval.report.page import write_report

__all__ = ["write_report"]
