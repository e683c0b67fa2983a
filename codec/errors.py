"""The one exception tree. Whatever bad input does, it surfaces as a `GistcastError`."""

from __future__ import annotations


class GistcastError(Exception):
    """Root of everything that gistcast raises on purpose."""


class UsageError(GistcastError):
    """The caller asked for something that makes no sense (exit code 2)."""


class LimitError(GistcastError):
    """A declared size exceeds a limit; raised before anything is allocated."""


class CorruptError(GistcastError):
    """Bytes that are not what the format says (exit code 3).

    Args:
        message: what is wrong.
        field: name of the field in `docs/bitstream.md`.
        offset: byte offset of the field in the input, where known.
    """

    def __init__(self, message: str, *, field: str = "", offset: int | None = None) -> None:
        where = f" [field {field!r}" if field else ""
        if offset is not None:
            where += f"{', ' if where else ' ['}offset {offset}"
        super().__init__(message + (where + "]" if where else ""))
        self.field = field
        self.offset = offset


class ModelError(GistcastError):
    """A model or table that the data asks for is missing or differs from the one at hand."""
