"""Film strips as data: the same frames of a clip as each codec shows them at about equal bytes."""

from __future__ import annotations

from dataclasses import dataclass

OUR_LABELS = ("regenerated", "sketch")  #: of what a user gets, best first
STANDARD = "standard"  #: how labels of the standards' pictures begin


@dataclass(frozen=True)
class Picture:
    """Frames of a clip side by side.

    Attributes:
        label: what it is.
        note: its bytes and figures.
        webp: the frames in one row, as a lossless WebP file.
        psnr: RGB-PSNR of every frame of the clip, in dB; empty for the source.
    """

    label: str
    note: str
    webp: bytes
    psnr: tuple[float, ...] = ()


@dataclass(frozen=True)
class Strip:
    """Pictures of one clip, all with the same frames.

    Attributes:
        clip: name of the clip.
        width, height: of a frame.
        frames: indices of the frames that are shown.
        budget: bytes that the pictures were chosen for.
        pictures: source first.
        count: frames of the clip.
        fps: frames a second of the clip.
    """

    clip: str
    width: int
    height: int
    frames: tuple[int, ...]
    budget: float
    pictures: tuple[Picture, ...]
    count: int
    fps: float

    def sides(self) -> tuple[int, int]:
        """The two pictures to compare first: the best of ours, and of the standards."""
        labels = [picture.label for picture in self.pictures]
        ours = [labels.index(name) for name in OUR_LABELS if name in labels]
        theirs = [at for at, label in enumerate(labels) if label.startswith(STANDARD)]
        return (ours or [0])[0], (theirs or [len(labels) - 1])[0]
