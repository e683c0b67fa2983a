"""What `gistcast serve --demo` sends: a video, coded once at several rates, without end.

Beside it stand the source and x264 at the same bytes, clip by clip as in the lab: slowest preset,
look-ahead over the clip, one key frame in it, for viewers may join at any clip of either.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path

from gistcast.api import load_model
from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.errors import UsageError
from gistcast.codec.file import encode_packets, read_gist
from gistcast.codec.header import MAJOR, tables_hash
from gistcast.codec.media import VideoInfo, VideoReader, VideoWriter, read_clips, stack
from gistcast.codec.packet import CLIP_NUMBER_PERIOD, Packet
from gistcast.eval.codecs.base import Coded, Geometry
from gistcast.eval.codecs.x264 import X264
from gistcast.eval.metrics.psnr import psnr_rgb
from gistcast.serving import Service
from gistcast.stream import SendSettings, SourceClip, StreamError, send
from gistcast.stream.signalling import WHIP
from gistcast.stream.web import View
from gistcast.stream.web.player import MAIN, Beside

RATES = (12, 24, 6, 48)  #: kbit/s of packets, in the order in which they are made
SOURCE, RIVAL = "source", "x264"
VIEWS = (View(SOURCE, "source"), View(RIVAL, "x264 at the same rate"))
CLIP_FRAMES = 32
_LONGEST = 1024  # frames of a video that are looped
_BISECTIONS = 7
_COARSEST, _FINEST = 51.0, 15.0  # x264's quality scale


@dataclass(frozen=True)
class Video:
    """What is looped: its clips, cut as the encoder cuts them."""

    clips: list[Clip]
    info: VideoInfo

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return float(sum(clip.frames for clip in self.clips) / self.info.fps)


def read_video(path: Path, size: tuple[int, int]) -> Video:
    """The first frames of a file, cropped and scaled.

    Raises:
        UsageError: no such file, or nothing in it.
    """
    clips: list[Clip] = []
    with VideoReader(str(path), size=size) as reader:
        for clip in read_clips(reader, CLIP_FRAMES):
            clips.append(clip)
            if sum(one.frames for one in clips) >= _LONGEST:
                break
        if not clips:
            raise UsageError(f"{path} has no frames")
        return Video(clips, reader.info)


def cache_folder(path: Path, size: tuple[int, int]) -> Path:
    """Where a video's rungs are kept, so that it is coded once."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    width, height = size
    settings = f"{width}x{height} {CLIP_FRAMES} {_LONGEST} {RATES} {MAJOR}".encode() + tables_hash()
    key = hashlib.sha256(path.read_bytes() + settings).hexdigest()[:16]
    return root / "gistcast" / "showcase" / key


def encode_ours(path: Path, size: tuple[int, int], kbps: int, folder: Path) -> None:
    """Code the video at a rate, if that is not done yet; for a process of its own."""
    target = folder / f"{kbps}.gist"
    if target.exists():
        return
    video = read_video(path, size)
    settings = EncodeSettings(bitrate=kbps * 1e3, clip_frames=CLIP_FRAMES, latent="on")
    encoder = Encoder(video.info, settings, load_model(settings, "cpu"))
    data = b"".join(encode_packets(video.clips, encoder))
    _whole(target, data)


def encode_rival(path: Path, size: tuple[int, int], kbps: int, folder: Path) -> None:
    """x264 at the bytes that ours took, or as few as it can; for a process of its own."""
    if (folder / f"{kbps}.json").exists():
        return
    video = read_video(path, size)
    ours = read_gist((folder / f"{kbps}.gist").read_bytes()).clips
    name, total = folder / f".{kbps}.y4m", 0
    writer = VideoWriter(name, video.info)
    for clip, coded in zip(video.clips, ours, strict=True):
        rival = _rival(clip, video.info.fps, coded.size)
        writer.write(X264.decode(rival, Geometry.of(clip))[""])
        total += rival.bytes
    writer.close()
    name.rename(folder / f"{kbps}.y4m")
    _whole(folder / f"{kbps}.json", json.dumps({"bytes": total}).encode())


def _rival(clip: Clip, fps: Fraction, budget: int) -> Coded:
    """The finest that fits, or the coarsest there is."""
    coarse, fine = _COARSEST, _FINEST
    best = X264.encode(clip, fps, coarse)
    for _ in range(_BISECTIONS):
        middle = (coarse + fine) / 2
        coded = X264.encode(clip, fps, middle)
        if coded.bytes > budget:
            fine = middle
        else:
            coarse, best = middle, coded
    return best


def _whole(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}")
    part.write_bytes(data)
    part.rename(path)


@dataclass(frozen=True)
class Rung:
    """The video at one rate.

    Attributes:
        kbps, rival_kbps: as they came out.
        header: the coded stream's.
        packets: of each clip.
        rival: the rival's frames, cut as the clips are.
    """

    kbps: float
    rival_kbps: float
    header: bytes
    packets: list[list[Packet]]
    rival: list[Clip]


def read_rung(folder: Path, kbps: int, video: Video) -> Rung:
    """A rung that has been made."""
    data = (folder / f"{kbps}.gist").read_bytes()
    parsed = read_gist(data)
    with VideoReader(str(folder / f"{kbps}.y4m")) as reader:
        frames = list(reader)
    rival, at = [], 0
    for clip in video.clips:
        rival.append(stack(frames[at : at + clip.frames]))
        at += clip.frames
    bits = 8e-3 / video.seconds
    return Rung(
        kbps=len(data) * bits,
        rival_kbps=json.loads((folder / f"{kbps}.json").read_bytes())["bytes"] * bits,
        header=parsed.header_bytes,
        packets=[coded.packets for coded in parsed.clips],
        rival=rival,
    )


def _coded(packets: list[Packet], limit: int | None) -> list[Packet]:
    """As `SourceClip.code`: they are there already, and layers that do not fit stay behind."""
    del limit
    return packets


class Loop:
    """A `ClipSource` without end: the rung is chosen from clip to clip.

    Args:
        video: what is looped.
        rungs: by nominal rate, at least the one that is chosen.
        rate: the one chosen.
    """

    first = 0

    def __init__(self, video: Video, rungs: Mapping[int, Rung], rate: int) -> None:
        self.rate = rate
        self._video, self._rungs = video, rungs
        self._shown: dict[int, tuple[Rung, int]] = {}  # clip number modulo 256 -> what it is

    @property
    def header(self) -> bytes:
        """As `ClipSource.header`."""
        return self._rungs[self.rate].header

    def __iter__(self) -> Iterator[SourceClip]:
        fps = self._video.info.fps
        for number in count():
            index = number % len(self._video.clips)
            rung = self._rungs[self.rate]
            self._shown[number % CLIP_NUMBER_PERIOD] = rung, index
            frames = self._video.clips[index].frames
            packets = [replace(packet, clip=number) for packet in rung.packets[index]]
            yield SourceClip(frames, float(frames / fps), partial(_coded, packets))

    def beside(self, number: int, drawn: Clip) -> Beside | None:
        """The source and the rival of a clip, and how close it and the rival come."""
        if number % CLIP_NUMBER_PERIOD not in self._shown:
            return None
        rung, index = self._shown[number % CLIP_NUMBER_PERIOD]
        source, rival = self._video.clips[index], rung.rival[index]
        if drawn.frames != source.frames:
            return None
        rgb = clip_to_rgb(source)
        scores = {MAIN: psnr_rgb(clip_to_rgb(drawn), rgb), RIVAL: psnr_rgb(clip_to_rgb(rival), rgb)}
        return Beside({SOURCE: source, RIVAL: rival}, scores)

    @property
    def rung(self) -> Rung:
        """The one chosen."""
        return self._rungs[self.rate]


class Showcase:
    """Makes the rungs one after the other, and sends the loop as soon as there is one.

    Args:
        service: where it is shown.
        video: the file.
        size: of the frames.
        token: that senders must show there.
    """

    def __init__(
        self, service: Service, path: Path, size: tuple[int, int], token: str | None
    ) -> None:
        self._service, self._path, self._size, self._token = service, path, size, token
        self._rungs: dict[int, Rung] = {}
        self._loop: Loop | None = None

    async def run(self) -> None:
        """For ever."""
        self._service.choose_rate = self._choose
        async with asyncio.TaskGroup() as tasks:
            made = asyncio.Event()
            tasks.create_task(self._make(made))
            await made.wait()
            tasks.create_task(self._send())

    async def _make(self, made: asyncio.Event) -> None:
        work = asyncio.to_thread
        folder = await work(cache_folder, self._path, self._size)
        folder.mkdir(parents=True, exist_ok=True)
        video = await work(read_video, self._path, self._size)
        loop = asyncio.get_running_loop()
        with ProcessPoolExecutor(1, get_context("spawn"), os.nice, (5,)) as pool:
            for index, kbps in enumerate(RATES):
                for step, make in enumerate((encode_ours, encode_rival)):
                    self._status(2 * index + step)
                    await loop.run_in_executor(pool, make, self._path, self._size, kbps, folder)
                rung = await work(read_rung, folder, kbps, video)
                self._rungs[kbps] = rung
                if self._loop is None:
                    self._say("drawing it for the first time", 2 * index + 1)
                    await work(self._service.player.warm, rung.header, rung.packets)
                    self._loop = Loop(video, self._rungs, kbps)
                    self._service.beside = self._loop.beside
                    self._show_rates()
                    made.set()
        self._status(2 * len(RATES))

    async def _send(self) -> None:
        assert self._loop is not None
        url, settings = self._service.url + WHIP, SendSettings(adapt=False)  # to ourselves
        while True:
            try:
                await send(self._loop, url, settings, token=self._token, patience=60.0)
            except StreamError as error:
                print(f"gistcast serve: {error}", file=sys.stderr, flush=True)

    def _choose(self, kbps: int) -> None:
        if self._loop is None or kbps not in self._rungs:
            raise UsageError(f"{kbps} kbit/s is still being coded")
        self._loop.rate = kbps
        self._show_rates()

    def _show_rates(self) -> None:
        if self._loop is not None:
            rung = self._loop.rung
            self._service.status["rates"] = {MAIN: rung.kbps, RIVAL: rung.rival_kbps}

    def _status(self, done: int) -> None:
        """What is being made."""
        if done == 2 * len(RATES):
            self._service.status["preparing"] = None
            return
        kbps, what = RATES[done // 2], ("gistcast", "x264")[done % 2]
        self._say(f"coding {self._path.stem} with {what} at {kbps} kbit/s", done)

    def _say(self, text: str, done: int) -> None:
        """On the page, while there is nothing to show, and on the terminal."""
        width, height = self._size
        status = self._service.status
        status["description"] = f"{self._path.stem}, {width}x{height}"
        status["preparing"] = {"text": text, "done": done, "of": 2 * len(RATES)}
        print(f"{text} ({done + 1} of {2 * len(RATES)})", file=sys.stderr, flush=True)
