"""Sentences about scenes: who does what where, and how the weather is."""

from __future__ import annotations

from collections.abc import Sequence

from gistcast.models.scenes.draws import Draws

#: third person singular, plural, and the -ing form
_DOING: dict[str, tuple[tuple[str, str, str], ...]] = {
    "biking": (("rides a bike", "ride bikes", "riding a bike"), ("bikes", "bike", "biking"),
               ("cycles", "cycle", "cycling")),
    "hockey": (("plays hockey", "play hockey", "playing hockey"),
               ("skates with a hockey stick", "skate with hockey sticks",
                "skating with a hockey stick")),
    "jogging": (("jogs", "jog", "jogging"), ("runs", "run", "running"),
                ("goes jogging", "go jogging", "jogging")),
    "soccer": (("plays soccer", "play soccer", "playing soccer"),
               ("kicks a soccer ball", "kick a soccer ball", "kicking a soccer ball")),
    "football": (("plays football", "play football", "playing football"),
                 ("plays American football", "play American football",
                  "playing American football")),
    "kite surfing": (("kite surfs", "kite surf", "kite surfing"),
                     ("goes kite surfing", "go kite surfing", "kite surfing")),
    "golf": (("plays golf", "play golf", "playing golf"),
             ("swings a golf club", "swing golf clubs", "swinging a golf club")),
    "swimming": (("swims", "swim", "swimming"), ("goes for a swim", "go for a swim", "swimming")),
    "sailing": (("sails", "sail", "sailing"), ("sails a boat", "sail boats", "sailing a boat")),
    "water skiing": (("water skis", "water ski", "water skiing"),
                     ("goes water skiing", "go water skiing", "water skiing")),
}  # fmt: skip
_WHERE: dict[str, tuple[str, ...]] = {
    "grass": ("on grass", "on the grass", "in a meadow"),
    "snow": ("on snow", "in the snow"),
    "sea": ("on the sea", "in the sea", "at sea"),
    "pool": ("in the pool", "in a swimming pool"),
    "ice": ("on ice", "on the ice", "on an ice rink"),
    "street": ("in the street", "on a street"),
    "sand": ("on sand", "on the sand", "in the dunes"),
    "track": ("on the track", "on a running track"),
    "park": ("in the park", "in a park"),
    "lake": ("on the lake", "on a lake"),
}
#: before the sentence, and after it
_WEATHER: dict[str, tuple[tuple[str, str], ...]] = {
    "sun": (("", " in the sun"), ("on a sunny day, ", ""), ("", ", the sun is shining")),
    "clouds": (("", " under a grey sky"), ("on a cloudy day, ", ""), ("", ", it is cloudy")),
    "rain": (("", " in the rain"), ("", ", it is raining"), ("on a rainy day, ", "")),
    "snowfall": (("", ", it is snowing"), ("", " in falling snow"), ("while it snows, ", "")),
    "fog": (("", " in the fog"), ("on a foggy day, ", ""), ("", ", it is foggy")),
    "dusk": (("", " at dusk"), ("at sunset, ", ""), ("", " in the evening light")),
}
_NUMBERS = {2: "two", 3: "three"}


def caption(
    draws: Draws,
    action: str,
    surroundings: str,
    weather: str,
    people: Sequence[tuple[str, str]],
) -> str:
    """A sentence such as "a man in red plays golf in the pool, it is snowing".

    Args:
        people: kind and colour of each person, the main one first.
    """
    singular, plural, doing = draws.choice(_DOING[action])
    where, weathers = draws.choice(_WHERE[surroundings]), draws.choice(_WEATHER[weather])
    told, form = draws.chance(0.7), draws.uniform()
    who, many = _who(draws, people)
    if form < 0.2:
        text = f"{who} {doing} {where}"
    elif form < 0.3 and not many:
        text = f"{doing} {where}"
    else:
        text = f"{who} {plural if many else singular} {where}"
    return f"{weathers[0]}{text}{weathers[1]}" if told else text


def _who(draws: Draws, people: Sequence[tuple[str, str]]) -> tuple[str, bool]:
    """The subject of the sentence, and whether it is a plural."""
    kind, colour = people[0]
    form = draws.uniform()
    if len(people) > 1 and form < 0.6:
        kinds = {other for other, _ in people}
        noun = {"man": "men", "woman": "women"}[kind] if len(kinds) == 1 else "people"
        return f"{_NUMBERS[len(people)]} {noun}", True
    noun = draws.choice((kind, kind, "person"))
    dress = draws.choice((f" in {colour}", f" in {colour}", f" in a {colour} top", ""))
    if colour == "orange":
        dress = dress.replace("a orange", "an orange")
    return f"a {noun}{dress}", False
