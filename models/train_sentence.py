"""Training of the sentence encoder: captions of scenes, shortened and said in other words.

caption --other words, words left out--> hashed features --linear--> classes; cross-entropy
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.nn import functional

from gistcast.models.scenes import Scene, sample_scene
from gistcast.models.sentence import (
    BUCKETS,
    CLASSES,
    FACTORS,
    Description,
    SentenceEncoder,
    features,
)

_SCALE = 256  # integer units of a logit

#: other words for what captions say, by class; each says the class by itself
SYNONYMS: dict[str, dict[str, tuple[str, ...]]] = {
    "action": {
        "biking": ("cyclist", "bicycle", "bicycling", "pedalling", "on a bike", "biker", "bmx"),
        "hockey": ("hockey player", "puck", "ice hockey", "skating", "skater"),
        "jogging": ("runner", "jogger", "sprinting", "sprints", "a run", "marathon", "walking"),
        "soccer": ("dribbling a ball", "footballer kicks a ball", "soccer player", "penalty kick"),
        "football": ("quarterback", "american football", "touchdown", "throws a football", "nfl"),
        "kite surfing": ("kitesurfer", "kitesurfing", "kiteboarding", "kite surfer", "kite"),
        "golf": ("golfer", "golfing", "tee shot", "putting", "golf swing", "teeing off"),
        "swimming": ("swimmer", "front crawl", "butterfly stroke", "swim", "freestyle", "crawl"),
        "sailing": ("sailor", "sailboat", "yacht", "dinghy", "sailing boat", "regatta", "boat"),
        "water skiing": ("waterskier", "waterskiing", "wakeboarding", "water skier", "skis"),
    },
    "surroundings": {
        "grass": ("on a lawn", "on a field", "meadow", "pasture", "on green grass", "in a field"),
        "snow": ("snowy hill", "on a snowfield", "snow-covered", "winter landscape", "snowy"),
        "sea": ("ocean", "on the ocean", "off the coast", "at sea", "on the waves", "seaside"),
        "pool": ("swimming bath", "indoor pool", "pool", "in a lap pool", "swimming pool"),
        "ice": ("ice rink", "frozen", "rink", "skating rink", "on a frozen pond", "icy"),
        "street": ("road", "on a road", "downtown", "city street", "avenue", "in town", "urban"),
        "sand": ("beach", "on the beach", "desert", "sandy", "dunes", "in the desert", "sandpit"),
        "track": ("race track", "athletics track", "stadium track", "tartan", "running track"),
        "park": ("city park", "gardens", "under trees", "in a park", "woods", "botanical garden"),
        "lake": ("pond", "lakeside", "on a mountain lake", "reservoir", "loch", "river"),
    },
    "weather": {
        "sun": ("sunny", "in sunshine", "bright sun", "clear sky"),
        "clouds": ("overcast", "cloudy", "dull day"),
        "rain": ("rainy", "wet", "pouring", "drizzle", "storm"),
        "snowfall": ("snowstorm", "snowflakes", "blizzard", "snow is falling"),
        "fog": ("foggy", "mist", "misty", "haze"),
        "dusk": ("sunset", "evening", "twilight", "dawn", "sunrise"),
    },
}  # fmt: skip
_PEOPLE = {
    "man": ("man", "men", "guy", "boy"),
    "woman": ("woman", "women", "girl", "lady"),
}
_WEATHER_WORDS = {
    "sun": ("sun", "sunny"), "clouds": ("grey sky", "cloudy"), "rain": ("rain", "rainy", "raining"),
    "snowfall": ("snowing", "falling snow", "it snows"), "fog": ("fog", "foggy"),
    "dusk": ("dusk", "sunset", "evening"),
}  # fmt: skip


def _says(text: str, phrases: Sequence[str]) -> bool:
    return any(re.search(rf"\b{re.escape(phrase)}\b", text) for phrase in phrases)


def told(scene: Scene) -> Description:
    """What a scene's caption says: its labels, and of the rest what is found in its words."""
    text, person = scene.caption, scene.people[0]
    names = {"action": scene.action, "surroundings": scene.surroundings}
    if _says(text, _WEATHER_WORDS[scene.weather]):
        names["weather"] = scene.weather
    if _says(text, (person.shirt_name,)):
        names["colour"] = person.shirt_name
    kinds = [kind for kind, words in _PEOPLE.items() if _says(text, words)]
    if len(kinds) == 1:
        names["kind"] = kinds[0]
    counts = {2: "two", 3: "three"}
    number = counts.get(len(scene.people), "one")
    if _says(text, (number,)) or _says(text, ("a man", "a woman", "a person")):
        names["number"] = number if _says(text, (number,)) else "one"
    return Description(
        *(classes.index(names.get(name, "unsaid")) for name, classes in FACTORS.items())
    )


def full(scene: Scene) -> Description:
    """All that a description could say of a scene."""
    person = scene.people[0]
    return Description(
        FACTORS["action"].index(scene.action),
        FACTORS["surroundings"].index(scene.surroundings),
        FACTORS["weather"].index(scene.weather),
        min(len(scene.people), 3),
        FACTORS["kind"].index(person.kind),
        FACTORS["colour"].index(person.shirt_name),
    )


def _sentences(world: int, rng: np.random.Generator) -> Iterator[tuple[str, Description]]:
    """Captions, and sentences put together from other words, without end."""
    index = 0
    while True:
        scene = sample_scene(world, index)
        index += 1
        yield scene.caption, told(scene)
        yield _other_words(rng)


def _other_words(rng: np.random.Generator) -> tuple[str, Description]:
    """A sentence of phrases in any order, some factors left out."""
    parts, said = [], {}
    for name, share in (("action", 0.85), ("surroundings", 0.85), ("weather", 0.3)):
        if rng.random() < share:
            classes = FACTORS[name]
            index = int(rng.integers(1, len(classes)))
            phrases = (*SYNONYMS[name][classes[index]], classes[index])
            parts.append(str(rng.choice(phrases)))
            said[name] = index
    if rng.random() < 0.4:
        kind = int(rng.integers(1, 3))
        parts.insert(0, "a " + str(rng.choice(_PEOPLE[FACTORS["kind"][kind]][0::2])))
        said |= {"kind": kind, "number": 1}
    if rng.random() < 0.3:
        rng.shuffle(parts)
    joint = str(rng.choice((" ", " on the ", " in the ", ", ", " at the ")))
    return joint.join(parts), Description(**said)


def train_sentence(
    *, world: int = 7, sentences: int = 8000, epochs: int = 6, seed: int = 1
) -> SentenceEncoder:
    """Train the table (six seconds of a core).

    Args:
        world: seed of the scenes whose captions are read.
        sentences: how many.
        epochs: times each is seen, with other words left out every time.
    """
    rng = np.random.default_rng(seed)
    source = _sentences(world, rng)
    pairs = [next(source) for _ in range(sentences)]
    targets = torch.tensor([said for _, said in pairs])
    rows = [torch.tensor(features(text) or [0]) for text, _ in pairs]
    torch.manual_seed(seed)
    table = torch.nn.EmbeddingBag(BUCKETS, CLASSES, mode="sum")
    torch.nn.init.zeros_(table.weight)
    bias = torch.nn.Parameter(torch.zeros(CLASSES))
    optimizer = torch.optim.AdamW([table.weight, bias], 0.02, weight_decay=1e-3)
    sizes = [len(classes) for classes in FACTORS.values()]
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * (1 - epoch / epochs)
        order = rng.permutation(len(rows))
        for start in range(0, len(rows), 256):
            chosen = order[start : start + 256]
            bags = [rows[i] for i in chosen]
            offsets = torch.tensor([0, *(len(bag) for bag in bags[:-1])]).cumsum(0)
            logits = table(torch.cat(bags), offsets) + bias
            parts = logits.split(sizes, 1)
            loss = torch.stack(
                [functional.cross_entropy(p, targets[chosen, k]) for k, p in enumerate(parts)]
            ).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    scaled = (table.weight.detach() * _SCALE).round().clamp(-32768, 32767)
    return SentenceEncoder(
        scaled.numpy().astype(np.int16), (bias.detach() * _SCALE).round().numpy().astype(np.int32)
    )
