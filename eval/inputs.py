"""From what the user names to the clips that are measured.

    file, folder, folder of pictures, manifest --find_sources--> [Source] --load--> clip, rate

Nothing is decoded before `load`. A folder is searched to its bottom; one that directly holds
pictures and no video is itself a video. A manifest is JSON:

    [{"file": "a.mp4", "label": "golf", "caption": "a man playing golf", "start": 40}, ...]
    {"a.mp4": "a man playing golf", ...}

Only `file` must be there, taken from the manifest's folder on; fields that are not listed here are
left alone. Named as an input it names the files; named beside inputs it describes them.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from gistcast.codec.clip import MAX_FRAMES, Clip, Frame
from gistcast.codec.convert import Colour
from gistcast.codec.errors import GistcastError, UsageError
from gistcast.codec.images import IMAGES, ImageReader, list_images, natural_order
from gistcast.codec.media import RawVideo, VideoReader, stack

VIDEOS = frozenset({".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".y4m"})
RAW = frozenset({".yuv", ".raw", ".rgb"})

_SIZES = {"sqcif": (128, 96), "qcif": (176, 144), "cif": (352, 288), "4cif": (704, 576)}
_SEPARATOR = r"(?:^|[_\-. ])"
_SIZE = re.compile(_SEPARATOR + r"(\d{2,4})x(\d{2,4})(?=[_\-. @pP]|$)")
_RATE = re.compile(r"(?:[_\-. @]|^)(\d{1,3}(?:\.\d+)?)(fps|hz)?(?=[_\-. ]|$)", re.IGNORECASE)
_RAW_OPTION = re.compile(r"(\d+)x(\d+)(?:@([\d.]+(?:/\d+)?))?(?::(\w+))?")


@dataclass(frozen=True)
class Options:
    """How inputs are read.

    Attributes:
        frames: frames of a clip, 1 to 32; a source that has fewer gives what it has.
        start: the first frame.
        fps: frames a second of pictures and of raw video whose name does not tell; None is 25.
        raw: what every raw file holds; None reads it off its name.
        untagged: colour of sources that do not say their own; None is BT.709 limited range.
    """

    frames: int = MAX_FRAMES
    start: int = 0
    fps: Fraction | None = None
    raw: RawVideo | None = None
    untagged: Colour | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.frames <= MAX_FRAMES:
            raise UsageError(f"a clip has 1 to {MAX_FRAMES} frames, not {self.frames}")
        if self.start < 0:
            raise UsageError(f"a clip cannot start at frame {self.start}")
        if self.fps is not None and self.fps <= 0:
            raise UsageError(f"a video cannot have {self.fps} frames a second")


@dataclass(frozen=True)
class Source:
    """One clip to be.

    Attributes:
        name: for people and rows, unique among sources.
        path: a file, or a folder of pictures.
        text: what the clip shows, for codecs that send a description.
        label: its class, for statistics.
        options: how it is read.
    """

    name: str
    path: Path
    text: str | None = None
    label: str | None = None
    options: Options = field(default_factory=Options)

    def load(self, size: tuple[int, int] | None = None) -> tuple[Clip, Fraction]:
        """The clip, centre-cropped and scaled to `size` (width, height), and its frame rate.

        Raises:
            UsageError: the file went away, or a raw file does not fit its geometry.
            CorruptError: it cannot be read as video.
            GistcastError: it ends before the clip starts.
        """
        first, last = self.options.start, self.options.start + self.options.frames
        kept: list[Frame] = []
        with self.open(size) as reader:
            for index, frame in enumerate(reader):
                if index >= first:
                    kept.append(frame)
                if index + 1 == last:
                    break
        if not kept:
            raise GistcastError(f"{self.path} has no frame {first}: choose an earlier start")
        return stack(kept), reader.info.fps

    def open(self, size: tuple[int, int] | None = None) -> VideoReader | ImageReader:
        """A reader of all its frames."""
        fps, untagged = self.options.fps, self.options.untagged
        if self.path.is_dir():
            pictures = list_images(self.path)
            return ImageReader(pictures, fps=fps or Fraction(25), size=size, untagged=untagged)
        raw = raw_of(self.path, self.options) if _is_raw(self.path, self.options) else None
        return VideoReader(self.path, size=size, raw=raw, untagged=untagged)


def find_sources(
    inputs: Sequence[str | Path],
    options: Options | None = None,
    *,
    manifest: Path | None = None,
    text: str | None = None,
) -> list[Source]:
    """Sources in the order of `inputs`, folders in natural order, each file once.

    Args:
        inputs: videos, raw files, folders and manifests.
        options: how they are read.
        manifest: descriptions of files that `inputs` name, by path or else by file name.
        text: what the clips show where no manifest tells.

    Raises:
        UsageError: nothing there, or not something that can be read; the message says what to do.
    """
    options = options or Options()
    described = list(_manifest(manifest, options)) if manifest is not None else []
    found: dict[tuple[Path, int], Source] = {}
    for name in inputs:
        for source in _sources(Path(name), options):
            source = _with_description(source, described, text)
            found.setdefault((source.path.resolve(), source.options.start), source)
    if not found:
        raise UsageError(f"no video in {', '.join(map(str, inputs)) or 'no input'}")
    return _named(list(found.values()))


def parse_raw(text: str) -> RawVideo:
    """From `352x288@30` or `1920x1080@60000/1001:yuv420p10le`.

    Raises:
        UsageError: it is not of this form.
    """
    match = _RAW_OPTION.fullmatch(text)
    if match is None:
        raise UsageError(f"raw video is WIDTHxHEIGHT[@FPS][:PIXEL_FORMAT], not {text!r}")
    width, height, rate, pixel_format = match.groups()
    return RawVideo(
        int(width), int(height), Fraction(rate) if rate else Fraction(25), pixel_format or "yuv420p"
    )


def raw_of(path: Path, options: Options) -> RawVideo:
    """What a raw file holds: as the options say, or as its name does.

    Names are read as they are customary: `foreman_352x288_30.yuv`, `akiyo_qcif.yuv`,
    `Beauty_1920x1080_120fps_420_10bit_YUV.yuv`.

    Raises:
        UsageError: the name does not tell, or the file's size is not that of whole frames.
    """
    raw = options.raw or _raw_by_name(path.stem, options.fps or Fraction(25))
    if raw is None:
        raise UsageError(
            f"{path}: raw video needs a geometry: name it as in clip_352x288_30.yuv, "
            "or say --raw 352x288@30"
        )
    size, frame = path.stat().st_size, _frame_bytes(raw)
    if not size or size % frame:
        raise UsageError(
            f"{path}: {size} bytes are not whole frames of {raw.width}x{raw.height} "
            f"{raw.pixel_format} ({frame} bytes each): correct the geometry with --raw"
        )
    return raw


def _raw_by_name(stem: str, default_fps: Fraction) -> RawVideo | None:
    size = _SIZE.search(stem)
    if size is not None:
        width, height = int(size[1]), int(size[2])
        rest = stem[size.end() :]
    else:
        tokens = re.split(r"[_\-. ]", stem.lower())
        known = next((token for token in tokens if token in _SIZES), None)
        if known is None:
            return None
        width, height = _SIZES[known]
        rest = stem[stem.lower().index(known) + len(known) :]
    rates = _RATE.findall(rest)
    # a number with its unit, or else the one right behind the size
    rate = next((value for value, unit in rates if unit), rates[0][0] if rates else None)
    fps = Fraction(rate) if rate and 0 < float(rate) <= 300 else default_fps
    return RawVideo(width, height, fps, _format_by_name(stem.lower()))


def _format_by_name(stem: str) -> str:
    if match := re.search(r"yuv4(?:20|22|44)p(?:1[0246]le)?(?![\d])", stem):
        return match[0]
    depth = re.search(r"(1[0246])(?:bit|b(?![a-z]))", stem)
    chroma = re.search(_SEPARATOR + r"(?:yuv)?(4(?:20|22|44))(?![\dx])", stem)
    return f"yuv{chroma[1] if chroma else '420'}p{depth[1] + 'le' if depth else ''}"


def _frame_bytes(raw: RawVideo) -> int:
    import av

    pixels = av.VideoFormat(raw.pixel_format, raw.width, raw.height)
    if not pixels.is_planar:
        return raw.width * raw.height * pixels.padded_bits_per_pixel // 8
    return sum(part.width * part.height * -(-part.bits // 8) for part in pixels.components)


def _sources(path: Path, options: Options) -> Iterator[Source]:
    if path.is_dir():
        yield from _in_folder(path, options)
    elif not path.exists():
        raise UsageError(f"no such file or folder: {path}")
    elif path.suffix.lower() == ".json":
        yield from _existing(path, _manifest(path, options))
    elif path.suffix.lower() in IMAGES:
        raise UsageError(f"{path} is one picture: name the folder that holds the frames")
    else:
        if _is_raw(path, options):
            raw_of(path, options)  # said now, not after an hour
        yield Source(path.name, path, options=options)


def _is_raw(path: Path, options: Options) -> bool:
    suffix = path.suffix.lower()
    return suffix in RAW or (options.raw is not None and suffix not in VIDEOS)


def _existing(manifest: Path, rows: Iterator[Source]) -> Iterator[Source]:
    for number, source in enumerate(rows):
        if not source.path.exists():
            raise UsageError(f"{manifest}, row {number}: field 'file': nothing at {source.path}")
        yield source


def _in_folder(folder: Path, options: Options) -> Iterator[Source]:
    """Videos below a folder, in natural order; links to folders are not followed."""
    for at, folders, files in os.walk(folder):
        folders[:] = sorted((n for n in folders if not n.startswith(".")), key=natural_order)
        seen = [Path(at, n) for n in sorted(files, key=natural_order) if not n.startswith(".")]
        videos = [path for path in seen if path.suffix.lower() in VIDEOS | RAW]
        for path in videos:
            yield from _sources(path, options)
        if not videos and list_images(Path(at)):
            yield Source(Path(at).resolve().name, Path(at), options=options)


def _manifest(path: Path, options: Options) -> Iterator[Source]:
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the manifest {path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    if isinstance(listed, dict):
        listed = [{"file": name, "caption": caption} for name, caption in listed.items()]
    if not isinstance(listed, list):
        raise UsageError(f"{path}: a manifest is a list of rows, or an object of file: caption")
    for number, row in enumerate(listed):
        yield _row(path, number, row, options)


def _row(manifest: Path, number: int, row: Any, options: Options) -> Source:
    """One row of a manifest."""

    def wrong(what: str) -> UsageError:
        return UsageError(f"{manifest}, row {number}: {what}")

    if not isinstance(row, Mapping) or not isinstance(row.get("file"), str):
        raise wrong("field 'file' must name a video")
    for name in ("label", "caption"):
        if not isinstance(row.get(name), str | None):
            raise wrong(f"field {name!r} must be text")
    start = row.get("start", options.start)
    if type(start) is not int or start < 0:
        raise wrong(f"field 'start' must be a frame number, not {start!r}")
    path = manifest.parent / row["file"]
    options = replace(options, start=start)
    return Source(path.name, path, row.get("caption"), row.get("label"), options)


def _with_description(source: Source, described: Sequence[Source], text: str | None) -> Source:
    """With text and label: its own, those of its path, those of its name, `text`."""
    of = next((d for d in described if d.path.resolve() == source.path.resolve()), None)
    if of is None:
        alike = [d for d in described if d.path.name == source.path.name]
        of = alike[0] if len(alike) == 1 else source
    return replace(source, text=source.text or of.text or text, label=source.label or of.label)


def _named(sources: Sequence[Source]) -> list[Source]:
    """Give every file the shortest end of its path that no other has, and stretches of one file
    their first frames."""
    paths = [source.path.resolve() for source in sources]
    short = _short_names(list(dict.fromkeys(paths)))
    stretches = Counter(paths)
    return [
        replace(
            source,
            name=f"{short[path]}@{source.options.start}" if stretches[path] > 1 else short[path],
        )
        for source, path in zip(sources, paths, strict=True)
    ]


def _short_names(paths: Sequence[Path]) -> dict[Path, str]:
    names: dict[Path, str] = {}
    waiting, depth = list(paths), 1
    while waiting:
        ends = {path: "/".join(path.parts[-depth:]) for path in waiting}
        count = Counter(ends.values())
        names |= {path: end for path, end in ends.items() if count[end] == 1}
        waiting, depth = [path for path in waiting if path not in names], depth + 1
    return names
