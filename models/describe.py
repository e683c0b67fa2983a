"""A sentence for a clip that came without one.

clip --recogniser--> kind of scene, and how sure --sure enough--> sentence

Whoever has a better captioner installs it as an entry point `gistcast.captioners`: a function that
takes uint8 RGB (T, H, W, 3) and returns a sentence, or None where it has nothing to say. The first
one found is asked instead.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

import numpy as np
import torch
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.errors import GistcastError
from gistcast.models.recogniser import fits, load_recogniser, prepare

Captioner = Callable[[NDArray[np.uint8]], str | None]

GROUP = "gistcast.captioners"  #: of entry points

#: Probability of a kind from which it is said: of 46 validation clips 18 are described, 15 rightly.
SURE = 0.5

#: Kind that the recogniser tells -> what is said of it. Kinds that are no description are left out.
SENTENCES = {
    "animal": "an animal",
    "bend": "a person bends",
    "driving": "driving on a road",
    "golf": "a person plays golf",
    "jumping jack": "a person does jumping jacks",
    "playing guitar": "a person plays guitar",
    "sign language": "a person signs",
    "street camera": "people seen by a street or shop camera",
    "talking head": "a person talks",
    "wave one hand": "a person waves one hand",
    "wave two hands": "a person waves both hands",
    "yoga child's pose": "a person in yoga child's pose",
    "yoga cobra pose": "a person in yoga cobra pose",
    "yoga corpse pose": "a person in yoga corpse pose",
    "yoga triangle pose": "a person in yoga triangle pose",
}


def describe(clip: Clip) -> str | None:
    """What is to be seen in a clip, in a sentence; None where it cannot be told.

    Raises:
        GistcastError: an installed captioner failed.
    """
    for entry in entry_points(group=GROUP):
        try:
            captioner: Captioner = entry.load()
            return captioner(clip_to_rgb(clip))
        except Exception as error:  # somebody else's code
            raise GistcastError(f"captioner {entry.name!r} failed: {error}") from error
    kind, sure = recognise(clip)
    return SENTENCES.get(kind) if sure >= SURE else None


@torch.no_grad()
def recognise(clip: Clip) -> tuple[str, float]:
    """The likeliest kind of a clip and its probability; ("other", 0.0) if it is too small."""
    if not fits(clip):
        return "other", 0.0
    network = load_recogniser()
    kinds, _ = network(prepare(clip_to_rgb(clip)))
    best = torch.softmax(kinds[0], 0)
    at = int(best.argmax())
    return network.config.labels[at], float(best[at])
