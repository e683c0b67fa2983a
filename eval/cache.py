"""Rows that were measured before, found again by a hash of everything they depend on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from gistcast.codec.clip import Clip
from gistcast.codec.media import frames_to_bytes

Row = dict[str, Any]  #: one line of `results.json`


def clip_hash(clip: Clip) -> str:
    """SHA-256 of the geometry and the planes, in hexadecimal."""
    head = f"{clip.frames}x{clip.height}x{clip.width}:".encode()
    return hashlib.sha256(head + frames_to_bytes(clip)).hexdigest()


def key_of(**parts: Any) -> str:
    """A key of the JSON-able facts that a result depends on."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class RowCache:
    """Append-only JSON lines, `{"key": ..., "rows": [...]}`: a stopped run resumes.

    A line that was cut off by a crash is skipped when the file is read again.

    Args:
        path: the file, made when first needed; None keeps nothing between runs.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._rows: dict[str, list[Row]] = {}
        if path is None or not path.is_file():
            return
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                    self._rows[entry["key"]] = entry["rows"]
                except (json.JSONDecodeError, KeyError, TypeError):
                    continue

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: str) -> list[Row] | None:
        """The rows of `key`, or None."""
        return self._rows.get(key)

    def put(self, key: str, rows: list[Row]) -> None:
        """Remember the rows of `key`."""
        self._rows[key] = rows
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not self._path.exists()
        with self._path.open("a", encoding="utf-8") as out:
            # a leading newline ends whatever line a crash left unfinished
            out.write(("" if fresh else "\n") + json.dumps({"key": key, "rows": rows}))
