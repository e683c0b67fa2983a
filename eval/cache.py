"""What was coded and measured before, found again by a hash of everything it depends on.

    clip, codec, settings, arm --hash--> payload (kept) --decode--> figures (kept one by one)

A payload is kept apart from its figures, and each figure with its metric's version: a new metric
decodes what is there and codes nothing again. One SQLite file; every payload and figure is
written as soon as it is known, so a killed run resumes where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gistcast.codec.clip import Clip
from gistcast.codec.errors import GistcastError
from gistcast.codec.media import frames_to_bytes
from gistcast.eval.codecs.base import Coded

Row = dict[str, Any]  #: one line of `results.json`
Figures = dict[
    str, dict[str, Any]
]  #: what is shown (an arm's or a variant's name) -> metric -> value

# a write-ahead log: a commit does not wait for the disk, and a killed process loses none
_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS coded (key TEXT PRIMARY KEY, facts TEXT, packets BLOB);
CREATE TABLE IF NOT EXISTS figures (
    key TEXT, shown TEXT, metric TEXT, version INTEGER, value TEXT,
    PRIMARY KEY (key, shown, metric)
);
"""


def clip_hash(clip: Clip) -> str:
    """SHA-256 of the geometry and the planes, in hexadecimal."""
    head = f"{clip.frames}x{clip.height}x{clip.width}:".encode()
    return hashlib.sha256(head + frames_to_bytes(clip)).hexdigest()


def key_of(**parts: Any) -> str:
    """A key of the JSON-able facts that a result depends on."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Cache:
    """Payloads and figures.

    Args:
        path: the file, made with its folder when missing; None keeps everything in memory.

    Raises:
        GistcastError: the file is something else, or cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path or ":memory:", timeout=60)
        except (sqlite3.Error, OSError) as error:
            raise GistcastError(f"{path} cannot be opened: {error}") from error
        try:
            self._db.executescript(_TABLES)
        except sqlite3.Error as error:
            self._db.close()
            raise GistcastError(f"{path} is no cache of gistcast: {error}") from error

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM coded").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def payload(self, key: str) -> Coded | None:
        """What was coded under `key`, or None."""
        query = "SELECT facts, packets FROM coded WHERE key = ?"
        found = self._db.execute(query, (key,)).fetchone()
        if found is None:
            return None
        facts = json.loads(found[0])
        packets, at = [], 0
        for size in facts["sizes"]:
            packets.append(found[1][at : at + size])
            at += size
        return Coded(tuple(packets), tuple(facts["times"]), facts["seconds"], facts["layers"])

    def keep_payload(self, key: str, coded: Coded) -> None:
        """Remember a payload."""
        facts = {
            "sizes": [len(packet) for packet in coded.packets],
            "times": coded.times,
            "seconds": coded.seconds,
            "layers": dict(coded.layers),
        }
        values = (key, json.dumps(facts), b"".join(coded.packets))
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO coded VALUES (?, ?, ?)", values)

    def figures(self, key: str, versions: Mapping[str, int]) -> Figures:
        """Figures of a payload whose metric is wanted, in the version that is wanted.

        Args:
            key: of the payload.
            versions: metric -> version.
        """
        query = "SELECT shown, metric, version, value FROM figures WHERE key = ? ORDER BY rowid"
        found: Figures = {}
        for shown, metric, version, value in self._db.execute(query, (key,)):
            kept = found.setdefault(shown, {})
            if versions.get(metric) == version:
                kept[metric] = json.loads(value)
        return found

    def keep_figures(self, key: str, figures: Figures, versions: Mapping[str, int]) -> None:
        """Remember figures."""
        values = [
            (key, shown, metric, versions[metric], json.dumps(value))
            for shown, by_metric in figures.items()
            for metric, value in by_metric.items()
        ]
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO figures VALUES (?, ?, ?, ?, ?)", values)
