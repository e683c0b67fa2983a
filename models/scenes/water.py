"""Actions that bring their own spray: swimming, sailing, water skiing, kite surfing.

Spray, wake and foam belong to the action and are painted in all surroundings alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gistcast.models.scenes.canvas import Colour
from gistcast.models.scenes.exact import Array, Point, Value, cosine, fraction, sine
from gistcast.models.scenes.land import cycle
from gistcast.models.scenes.pen import Pen, between, darker, elbow, toward, turned
from gistcast.models.scenes.people import (
    FOREARM,
    UPPER_ARM,
    Outfit,
    Person,
    Pose,
    draw_arm,
    draw_leg,
    draw_trunk,
    outfit,
)

_WHITE: Colour = (245, 246, 246)
_DARK: Colour = (40, 42, 48)
_LATTICE = (0.7548776662466927, 0.5698402909980532)  #: of Roberts' R2 sequence: even, never equal


def spray(
    pen: Pen,
    person: Person,
    source: Point,
    *,
    count: int,
    speed: tuple[float, float],
    spread: float,
    rate: float,
    radius: float,
    alpha: float = 0.9,
) -> None:
    """Drops thrown up from a place, each on its parabola, born again and again.

    Args:
        source: where they start.
        speed: metres a second, forwards and up.
        spread: relative variation of the speeds.
        rate: lives a second.
        radius: of a drop, metres.
    """
    n = np.arange(count, dtype=np.float64)[:, None]
    a, b = fraction(n * _LATTICE[0] + person.phase), fraction(n * _LATTICE[1])
    life = pen.times * rate + fraction(a + 7.0 * b)
    age = fraction(life)
    # a drop takes another way in each life
    lives = np.floor(life)
    c, d = fraction(a + lives * _LATTICE[1]), fraction(b + lives * _LATTICE[0])
    t = age / rate
    vx = speed[0] * (1 + spread * (2 * c - 1)) + 0.25 * abs(speed[1]) * (2 * d - 1)
    vy = speed[1] * (1 - spread * d)
    x = source[0] + vx * t
    y = np.maximum(source[1] + vy * t - 4.9 * t * t, 0.0)
    pen.drops(x, y, radius * (0.6 + 0.8 * d) + 0.0 * x, alpha * (1 - age * age) + 0.0 * x)


def wake(pen: Pen, start: Value, length: float, height: float) -> None:
    """Foam left behind on the surface, uneven and moving backwards."""
    for k in range(4):
        back = fraction(pen.times * 1.7 + k / 4)
        pen.foam(
            (start - length * (0.1 + 0.85 * back), 0.0),
            length * (0.16 + 0.16 * back),
            height * (0.8 + 0.6 * back),
            alpha=0.34,
        )
    pen.foam((start - 0.4 * length, 0.0), length * 0.55, height, alpha=0.6)


def swimming(pen: Pen, person: Person, style: float) -> None:
    """Crawl (style below 0.6) or butterfly: arms over the water, kick and splash."""
    phase = cycle(pen, person, 0.95)
    fly = style >= 0.6
    bob = 0.03 * sine((1.0 if fly else 2.0) * phase)
    roll = 0.06 * sine(phase) if fly else phase * 0.0
    hip: Point = (-0.42, 0.03 + bob * 0.5)
    neck: Point = (0.2, 0.1 + bob + roll)
    wear = outfit(person)
    pen.foam((-0.25, 0.0), 1.25, 0.16, alpha=0.75)
    pen.sunk = True
    shoulder = (neck[0] - 0.04, neck[1])
    arms = (phase, phase) if fly else (phase + 0.5, phase)
    head = (neck[0] + 0.25, neck[1] + 0.06)
    for side, p in ((1, arms[1]), (0, arms[0])):
        # forwards over the water, back under it
        hand = (shoulder[0] + 0.57 * cosine(-p), shoulder[1] + 0.06 + 0.5 * sine(-p))
        joint = elbow(shoulder, hand, UPPER_ARM, FOREARM, 1.0)
        skin = darker(wear.skin, 1.0 if side == 0 else 0.75)
        if side == 0:
            pen.limb(hip, neck, 0.12, person.extra, 0.16)
            pen.limb(between(hip, neck, 0.45), neck, 0.15, wear.skin, 0.16)
            pen.limb(neck, head, 0.08, wear.skin)
            pen.disc((head[0] + 0.03, head[1] - 0.02), 0.125, wear.skin)
            pen.disc((head[0] - 0.02, head[1] + 0.03), 0.135, person.shirt)
        pen.limb(shoulder, joint, 0.075, skin, 0.06)
        pen.limb(joint, hand, 0.058, skin, 0.05)
    kick = 0.13 * sine(phase * 3.0)
    for side in (1, -1):
        foot = (-1.2, 0.02 + side * kick)
        pen.limb(hip, foot, 0.09, wear.skin, 0.05)
    pen.sunk = False
    entry = 0.5 + 0.5 * float(fly)
    spray(pen, person, (-1.2, 0.0), count=34, speed=(-0.5, 1.9), spread=0.7, rate=1.9, radius=0.034)
    spray(
        pen,
        person,
        (0.66, 0.0),
        count=16,
        speed=(0.3, 1.5 + entry),
        spread=0.8,
        rate=1.9,
        radius=0.03,
    )
    pen.foam((-0.2, -0.05), 1.15, 0.09, alpha=0.8)
    pen.foam((0.6, -0.02), 0.4, 0.08, alpha=0.8)
    pen.foam((-1.25, 0.0), 0.4, 0.13, alpha=0.9)


def sailing(pen: Pen, person: Person, style: float) -> None:
    """A dinghy with mainsail and jib, heeling, crewed by one or two."""
    rock = 0.012 * sine(cycle(pen, person, 0.45))
    heel = -0.02 - 0.015 * style + rock
    pivot: Point = (0.0, 0.0)

    def at(x: float, y: float) -> Point:
        return turned((x, y), pivot, heel)

    sail = person.extra
    wake(pen, -1.2, 2.2, 0.13)
    pen.sunk = True
    mast, top, boom = at(0.35, 0.5), at(0.3, 4.3), at(-1.35, 0.85)
    # the sail's belly breathes with the wind
    belly = 0.18 + 0.05 * sine(pen.times * 0.9 + person.phase)
    leech = at(-0.75, 2.3)
    leech = (leech[0] - belly, leech[1])
    pen.polygon((at(0.3, 0.95), top, leech, boom), sail)
    stripe = darker(person.shirt, 1.0)
    pen.polygon(
        (
            between(at(0.3, 0.95), top, 0.42),
            between(at(0.3, 0.95), top, 0.56),
            between(leech, top, 0.3),
            between(boom, leech, 0.9),
        ),
        stripe,
    )
    jib = (at(1.45, 0.55), at(0.36, 3.4), at(0.3, 0.8))
    pen.polygon(jib, darker(sail, 0.9))
    pen.limb(mast, top, 0.035, (120, 95, 70))
    pen.limb(at(0.33, 0.85), boom, 0.03, (120, 95, 70))
    _crew(pen, person, at, -0.55)
    if style > 0.5:
        _crew(pen, person, at, -0.05)
    hull = person.trousers
    pen.polygon((at(-1.6, 0.48), at(1.75, 0.55), at(1.35, -0.25), at(-1.45, -0.25)), hull)
    pen.limb(at(-1.58, 0.5), at(1.72, 0.56), 0.05, _WHITE)
    pen.sunk = False
    spray(pen, person, (1.5, 0.05), count=26, speed=(-1.0, 2.0), spread=0.8, rate=1.8, radius=0.06)
    pen.foam((0.0, -0.04), 1.8, 0.13, alpha=0.8)
    pen.foam((1.4, 0.0), 0.45, 0.18, alpha=0.9)


def _crew(pen: Pen, person: Person, at: Callable[[float, float], Point], x: float) -> None:
    """Someone sitting in the boat, leaning out against the wind."""
    wear = outfit(person)
    hip, neck = at(x, 0.55), at(x - 0.16, 1.08)
    pen.limb(hip, neck, 0.15, wear.shirt, 0.17)
    pen.limb(neck, at(x + 0.25, 0.8), 0.06, wear.sleeve)
    head = at(x - 0.18, 1.36)
    pen.disc(head, 0.15, wear.hair)
    pen.disc((head[0] + 0.04, head[1] - 0.03), 0.125, wear.skin)


def _rider(pen: Pen, person: Person, wear: Outfit, pose: Pose) -> None:
    draw_arm(pen, pose, wear, 1)
    draw_leg(pen, pose, wear, 1)
    draw_leg(pen, pose, wear, 0)
    draw_trunk(pen, pose, wear)
    vest = between(pose.hip, pose.neck, 0.3), between(pose.hip, pose.neck, 0.85)
    pen.limb(*vest, 0.16, person.extra)
    draw_arm(pen, pose, wear, 0)


def water_skiing(pen: Pen, person: Person, style: float) -> None:
    """A skier behind a motor boat: lean, rope, spray."""
    phase = cycle(pen, person, 0.9)
    bounce = 0.05 * sine(phase)
    hip: Point = (-0.92, 0.78 + bounce)
    neck = toward(hip, 0.5 + 0.055 + 0.012 * sine(phase * 0.5), 0.52)
    handle = (neck[0] + 0.52, neck[1] - 0.2)
    stern: Point = (1.12, 0.46 + 0.03 * sine(phase * 1.3))
    feet = ((-0.58, 0.12), (-0.72, 0.12))
    pose = Pose(hip, neck, (handle, handle), feet, gaze=0.5)
    wear = replace(outfit(person), shoe=_DARK)
    wake(pen, 1.1, 1.7, 0.1)
    wake(pen, -0.7, 1.6, 0.12)
    pen.limb(handle, stern, 0.014, (250, 245, 225))
    spray(
        pen, person, (-1.15, 0.05), count=70, speed=(-2.4, 2.9), spread=0.7, rate=1.6, radius=0.046
    )
    _rider(pen, person, wear, pose)
    for (x, y), shade in zip(feet, (1.0, 0.75), strict=True):
        ski = darker(person.trousers, shade)
        pen.limb((x - 0.55, y - 0.1), (x + 0.5, y - 0.04), 0.04, ski)
        pen.limb((x + 0.5, y - 0.04), (x + 0.72, y + 0.09), 0.038, ski)
    _motor_boat(pen, person, stern, phase)
    pen.foam((-0.9, 0.0), 0.75, 0.12, alpha=0.85)


def _motor_boat(pen: Pen, person: Person, stern: Point, phase: Array) -> None:
    pitch = 0.012 + 0.004 * sine(phase * 1.3)

    def at(x: float, y: float) -> Point:
        return turned((stern[0] + x, stern[1] + y), stern, pitch)

    pen.sunk = True
    wear = outfit(person)
    pen.limb(at(0.7, 0.1), at(0.67, 0.48), 0.15, darker(wear.trousers))
    pen.disc(at(0.67, 0.72), 0.13, wear.skin)
    pen.polygon((at(0.95, 0.08), at(1.05, 0.5), at(1.4, 0.1)), (120, 165, 190), alpha=0.85)
    hull = ((0.0, 0.06), (2.0, 0.2), (1.6, -0.6), (0.02, -0.6))
    pen.polygon([at(x, y) for x, y in hull], darker(person.extra, 0.92))
    band = ((0.0, -0.1), (1.92, 0.0), (1.8, -0.17), (0.0, -0.26))
    pen.polygon([at(x, y) for x, y in band], _WHITE)
    pen.limb(at(-0.1, 0.12), at(-0.12, -0.45), 0.1, _DARK)
    pen.sunk = False
    spray(
        pen,
        person,
        (stern[0] - 0.1, 0.05),
        count=24,
        speed=(-1.6, 1.6),
        spread=0.7,
        rate=2.0,
        radius=0.05,
    )
    pen.foam((stern[0] + 0.8, -0.02), 1.15, 0.14, alpha=0.85)


def kite_surfing(pen: Pen, person: Person, style: float) -> None:
    """A rider on a board, hanging in the lines of a large kite; sometimes a jump."""
    phase = cycle(pen, person, 0.55)
    jump = 0.9 * np.maximum(0.0, sine(phase)) if style > 0.5 else 0.06 * (1 + sine(phase * 2))
    base: Point = (-0.9, jump)
    tilt = 0.05 * sine(phase + 0.1)
    foot_front, foot_back = (base[0] + 0.32, base[1] + 0.16), (base[0] - 0.3, base[1] + 0.1)
    hip: Point = (base[0] - 0.24, base[1] + 0.74)
    neck = toward(hip, 0.5 + 0.07 + 0.2 * tilt, 0.52)
    bar = (neck[0] + 0.5, neck[1] + 0.08)
    kite = (1.25 + 0.3 * sine(phase * 0.8), 3.75 + 0.28 * cosine(phase * 1.6))
    wear = replace(outfit(person), shoe=_DARK)
    pose = Pose(hip, neck, (bar, bar), (foot_front, foot_back), gaze=0.49)
    wake(pen, base[0] - 0.3, 1.5, 0.1)
    spray(
        pen,
        person,
        (base[0] - 0.5, 0.04),
        count=44,
        speed=(-2.2, 2.3),
        spread=0.7,
        rate=1.7,
        radius=0.05,
    )
    turn = 0.09 + 0.04 * sine(phase * 0.8)
    rim = []
    for k in range(7):
        # the arc of an inflatable kite, open towards the rider
        angle = (k - 3) * 0.058
        point = kite[0] + 1.25 * sine(angle), kite[1] - 1.25 + 1.25 * cosine(angle)
        rim.append(turned(point, kite, -turn))
    for end in (rim[0], rim[6]):
        pen.limb(bar, end, 0.011, (70, 72, 80))
    for k in range(6):
        broad = (0.13, 0.2, 0.25, 0.25, 0.2, 0.13)[k]
        colour = person.shirt if k in (1, 4) else person.extra
        pen.limb(rim[k], rim[k + 1], broad, colour)
    _rider(pen, person, wear, pose)
    pen.limb((bar[0] - 0.05, bar[1] - 0.2), (bar[0] + 0.05, bar[1] + 0.2), 0.025, _DARK)
    tail = turned((base[0] - 0.75, base[1]), base, tilt)
    nose = turned((base[0] + 0.8, base[1] + 0.1), base, tilt)
    pen.limb(tail, nose, 0.06, person.extra)
    pen.limb(between(tail, nose, 0.35), between(tail, nose, 0.65), 0.062, _WHITE)
    pen.foam((base[0] - 0.35, 0.0), 0.7, 0.1, alpha=0.8)
