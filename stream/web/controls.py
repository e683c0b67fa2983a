"""What a page may change: sliders and choices, checked before they act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gistcast.codec.errors import UsageError

Value = float | str


@dataclass(frozen=True)
class Slider:
    """A number that can be chosen.

    Attributes:
        name: in requests.
        label: for people.
        low, high, step: what can be chosen.
        value: to begin with.
        act: called with what was chosen.
        unit: behind the number.
        help: one sentence.
        marks: what some numbers are called instead.
    """

    name: str
    label: str
    low: float
    high: float
    step: float
    value: float
    act: Callable[[float], None]
    unit: str = ""
    help: str = ""
    marks: dict[str, str] | None = None

    def check(self, value: object) -> float:
        """The value, if it can be chosen.

        Raises:
            UsageError: it cannot.
        """
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise UsageError(f"{self.name} is a number")
        if not self.low <= value <= self.high:
            raise UsageError(f"{self.name} lies between {self.low:g} and {self.high:g}")
        return float(value)

    def to_json(self) -> dict[str, Any]:
        """For the page."""
        names = ("name", "label", "low", "high", "step", "unit", "help", "marks")
        return {"kind": "slider"} | {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Choice:
    """One of several words that can be chosen; as `Slider`."""

    name: str
    label: str
    options: Sequence[str]
    value: str
    act: Callable[[str], None]
    help: str = ""

    def check(self, value: object) -> str:
        """As `Slider.check`."""
        if not isinstance(value, str) or value not in self.options:
            raise UsageError(f"{self.name} is one of {', '.join(self.options)}")
        return value

    def to_json(self) -> dict[str, Any]:
        """For the page."""
        names = ("name", "label", "options", "help")
        return {"kind": "choice"} | {name: getattr(self, name) for name in names}


class Controls:
    """All of a page's controls, and what they are set to."""

    def __init__(self, *controls: Slider | Choice) -> None:
        self._controls = {control.name: control for control in controls}
        self.values: dict[str, Value] = {c.name: c.value for c in controls}

    def set(self, name: object, value: object) -> None:
        """Choose.

        Raises:
            UsageError: there is no such control, or it does not take this, or not yet.
        """
        control = self._controls.get(name) if isinstance(name, str) else None
        if isinstance(control, Slider):
            number = control.check(value)
            control.act(number)  # may refuse
            self.values[control.name] = number
        elif isinstance(control, Choice):
            word = control.check(value)
            control.act(word)
            self.values[control.name] = word
        else:
            raise UsageError("there is no such control")

    def to_json(self) -> list[dict[str, Any]]:
        """For the page."""
        return [control.to_json() for control in self._controls.values()]
