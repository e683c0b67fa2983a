"""Codecs by name that are not in the house: CompressAI's zoo, and the user's own.

    compressai:mbt2018-mean@weights/     a network of the zoo, with the user's weights
    ./own_codec.py:CODEC                 an object in a file
    package.module:CODEC                 an object in an installed package

An object is a `Codec`, or something that is called without arguments and returns one.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import zlib
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

from gistcast.codec.errors import GistcastError, UsageError
from gistcast.eval.codecs.base import DELAY_MATCHED, REALTIME, Codec


def load_codec(spec: str) -> Codec:
    """The codec that `spec` names; user code is run.

    Raises:
        UsageError: there is no such file, module, attribute or network.
        GistcastError: the user's code fails, or what it has is not a codec; the message says why.
    """
    if spec.startswith("compressai:"):
        from gistcast.eval.codecs.compressai import compressai_codec

        return compressai_codec(spec)
    place, _, attribute = spec.rpartition(":")
    if not place or not attribute:
        raise UsageError(f"a codec of your own is FILE.py:NAME or MODULE:NAME, not {spec!r}")
    try:
        module = _from_file(Path(place)) if place.endswith(".py") else _from_name(place)
        found: Any = getattr(module, attribute, None)
        if found is None:
            raise UsageError(f"{place} has no {attribute!r}")
        makes_one = isinstance(found, type) or not hasattr(found, "settings")
        codec = found() if makes_one and callable(found) else found
    except GistcastError:
        raise
    except Exception as error:  # whatever the user's code raises
        raise GistcastError(f"{spec}: {type(error).__name__}: {error}") from error
    check_codec(codec, spec)
    return codec  # type: ignore[no-any-return]


def check_codec(codec: Any, spec: str) -> None:
    """Refuse what does not have a codec's attributes, before an hour of work is lost on it.

    Raises:
        GistcastError: naming the attribute and what it should be.
    """

    def wrong(what: str) -> GistcastError:
        return GistcastError(f"{spec} is not a codec: {what}")

    for method in ("settings", "encode", "decode"):
        if not callable(getattr(codec, method, None)):
            raise wrong(f"it has no method {method!r}")
    for name, kind in (("name", str), ("counted", str), ("mode", str), ("uses_text", bool)):
        if not isinstance(getattr(codec, name, None), kind):
            raise wrong(f"{name!r} must be a {kind.__name__}")
    if not codec.name or not codec.counted:
        raise wrong("'name' and 'counted' must say something")
    if codec.mode not in (DELAY_MATCHED, REALTIME):
        raise wrong(f"'mode' is {DELAY_MATCHED!r} or {REALTIME!r}, not {codec.mode!r}")
    points = getattr(codec, "points", ())
    if not points or not all(isinstance(p, int | float | Fraction) for p in points):
        raise wrong("'points' must be numbers, coarsest first")
    if len(set(map(codec.settings, points))) != len(points):
        raise wrong("'settings' must differ from point to point: results are cached by them")


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    # a name of its own: two files called codec.py are two modules
    name = f"gistcast_codec_{zlib.crc32(str(path.resolve()).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def _from_name(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise UsageError(f"no module {name!r}") from error
        raise
