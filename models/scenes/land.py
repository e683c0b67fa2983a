"""Actions on foot, on skates and on wheels: how people and their things move.

Rates are those of people: 2.7 steps a second jogging, a pedal stroke in 0.75 s, a golf swing in
1.2 s (0.73 up, 0.22 down). Every function draws one person at `pen.times`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gistcast.models.scenes.canvas import Colour
from gistcast.models.scenes.exact import Array, Point, Value, cosine, fraction, keyed, sine, smooth
from gistcast.models.scenes.pen import Pen, between, darker, elbow, toward, turned
from gistcast.models.scenes.people import (
    SHIN,
    THIGH,
    TRUNK,
    UPPER_ARM,
    Outfit,
    Person,
    Pose,
    draw_arm,
    draw_leg,
    draw_person,
    draw_trunk,
    outfit,
)

_WHITE: Colour = (245, 245, 242)
_DARK: Colour = (38, 38, 42)


def cycle(pen: Pen, person: Person, rate: float) -> Array:
    """Phase in turns of something repeated `rate` times a second."""
    return np.asarray(pen.times * (rate * person.tempo) + person.phase)


def shot(pen: Pen, person: Person, rate: float, moment: float) -> Array:
    """As `cycle`, but `moment` of the cycle comes 0.2 to 0.75 s after the start."""
    lead = (0.2 + 0.55 * person.phase) * rate * person.tempo
    return np.asarray(pen.times * (rate * person.tempo) + (moment - lead))


def run_pose(phase: Array, *, stride: float = 1.0, lean: float = 0.03) -> Pose:
    """Running; thigh and knee angles follow sines fitted to a jogger's (swing at phase 0)."""
    legs = []
    for p in (phase, phase + 0.5):
        thigh = 0.015 + 0.095 * stride * sine(p)
        lift = 0.5 + 0.5 * cosine(p + 0.04)
        flex = 0.035 + 0.25 * stride * lift * lift
        knee = toward((0.0, 0.0), thigh, THIGH)
        legs.append((toward(knee, thigh - flex, SHIN), 0.25 - flex * 0.7 + thigh * 0.6))
    lowest = np.minimum(np.asarray(legs[0][0][1]), np.asarray(legs[1][0][1]))
    hip: Point = (0.0, 0.05 - lowest + 0.035 * stride * (1 + sine(2 * phase + 0.35)))
    neck = toward(hip, 0.5 - lean, TRUNK)
    hands = []
    for p in (phase + 0.5, phase):
        joint = toward(between(neck, hip, 0.1), 0.1 * stride * sine(p) - 0.03, UPPER_ARM)
        hands.append(toward(joint, 0.1 * stride * sine(p) + 0.2, 0.27))
    feet = [(hip[0] + leg[0][0], hip[1] + leg[0][1]) for leg in legs]
    return Pose(
        hip, neck, (hands[0], hands[1]), (feet[0], feet[1]), (legs[0][1], legs[1][1]), gaze=0.49
    )


def jogging(pen: Pen, person: Person, style: float) -> None:
    """Running, arms pumping."""
    phase = cycle(pen, person, 1.35)
    draw_person(pen, run_pose(phase, stride=0.9 + 0.3 * style), outfit(person))


def biking(pen: Pen, person: Person, style: float) -> None:
    """A bicycle, pedalled; upright or bent over the handlebar."""
    phase = cycle(pen, person, 1.3)
    low = style * 0.24
    radius, axle = 0.35, 0.54
    rear, front, crank = (-axle, radius), (axle, radius), (-0.06, 0.31)
    saddle: Point = (-0.24, 0.98)
    bar: Point = (0.42, 1.08 - low)
    head: Point = (0.36, 0.92)
    frame = person.extra
    for wheel in (rear, front):
        pen.ring(wheel, radius, 0.026, _DARK)
        for spoke in (0.0, 1 / 3, 2 / 3):
            # rolling without slipping: 4.5 m/s on a circumference of 2.2 m
            rim = toward(wheel, -2.05 * person.tempo * pen.times + spoke, radius)
            pen.limb(wheel, rim, 0.008, (150, 150, 155))
    feet = []
    for p in (phase, phase + 0.5):
        feet.append((crank[0] + 0.17 * sine(p), crank[1] + 0.17 * cosine(p)))
    hip: Point = (saddle[0], saddle[1] + 0.06)
    neck = toward(hip, 0.5 - 0.09 - 0.07 * style, TRUNK)
    ankles = [(x - 0.05, y + 0.08) for x, y in feet]
    pose = Pose(hip, neck, (bar, bar), (ankles[0], ankles[1]), gaze=0.46)
    wear = outfit(person)
    helmet = person.extra if style > 0.4 else None
    wear = replace(wear, helmet=helmet)
    draw_arm(pen, pose, wear, 1)
    draw_leg(pen, pose, wear, 1)
    pen.limb(crank, feet[1], 0.018, _DARK)
    seat: Point = (-0.19, 0.86)
    for a, b in ((rear, seat), (rear, crank), (crank, seat), (crank, head), (seat, head)):
        pen.limb(a, b, 0.026, frame)
    pen.limb(head, front, 0.024, frame)
    pen.limb(head, bar, 0.02, _DARK)
    pen.limb((saddle[0] - 0.12, saddle[1]), (saddle[0] + 0.12, saddle[1]), 0.03, _DARK)
    pen.limb(seat, saddle, 0.018, _DARK)
    pen.limb(crank, feet[0], 0.018, _DARK)
    draw_leg(pen, pose, wear, 0)
    draw_trunk(pen, pose, wear)
    draw_arm(pen, pose, wear, 0)


def hockey(pen: Pen, person: Person, style: float) -> None:
    """Skating strokes with a stick and a puck."""
    phase = cycle(pen, person, 0.85)
    feet = []
    for p in (phase, phase + 0.5):
        push = 0.5 - 0.5 * cosine(p)
        raised = np.maximum(0.0, sine(p + 0.5))
        feet.append((0.18 - 0.72 * push * push, 0.1 + 0.16 * raised * push))
    hip: Point = (-0.08, 0.78 + 0.03 * cosine(2 * phase))
    neck = toward(hip, 0.5 - 0.105 - 0.02 * style, TRUNK)
    # the blade goes from side to side of the puck: in the picture, to and fro
    blade: Point = (1.02 + 0.2 * sine(2 * phase + 0.1), 0.03)
    top = (neck[0] + 0.2 + 0.05 * sine(2 * phase), neck[1] - 0.38)
    grip = between(top, blade, 0.36)
    pose = Pose(hip, neck, (grip, top), (feet[0], feet[1]), gaze=0.45, bulk=1.28)
    wear = replace(
        outfit(person),
        sleeve=person.shirt,
        shin=darker(_WHITE, 0.85),
        shoe=_DARK,
        helmet=person.extra,
        hand=_DARK,
    )
    draw_arm(pen, pose, wear, 1)
    for side in (1, 0):
        draw_leg(pen, pose, wear, side)
        x, y = feet[side]
        pen.limb((x - 0.12, y - 0.075), (x + 0.22, y - 0.075), 0.016, (205, 210, 218))
    draw_trunk(pen, pose, wear)
    # shoulder stripe, as jerseys have
    chest, lean = between(pose.hip, neck, 0.34), 0.105 + 0.02 * style
    front, back = toward(chest, 0.25 - lean, 0.13), toward(chest, 0.75 - lean, 0.13)
    pen.limb(front, back, 0.04, _WHITE)
    pen.limb(top, blade, 0.026, (205, 165, 95))
    toe = (blade[0] + 0.27, blade[1] + 0.01)
    pen.limb(blade, toe, 0.036, _DARK)
    draw_arm(pen, pose, wear, 0)
    puck = (1.34 + 0.12 * sine(2 * phase - 0.05), 0.03)
    pen.limb((puck[0] - 0.05, 0.03), (puck[0] + 0.05, 0.03), 0.035, (15, 15, 18))


def _football(pen: Pen, centre: Point, spin: Value) -> None:
    """A ball with dark patches, 22 cm and a bit: it must be seen."""
    pen.disc(centre, 0.15, _WHITE)
    for k in range(3):
        pen.disc(toward(centre, spin + k / 3, 0.09), 0.042, _DARK)


def soccer(pen: Pen, person: Person, style: float) -> None:
    """Dribbling (style below 0.5) or passing with a full kick."""
    wear = replace(outfit(person), shin=person.extra, shoe=_DARK)
    if style < 0.5:
        phase = cycle(pen, person, 1.25)
        pose = run_pose(phase, stride=0.85)
        # each step of the near foot nudges the ball, which rolls ahead and is caught up
        ahead = keyed(phase, ((0.2, 0.36), (0.6, 0.78)))
        draw_person(pen, pose, wear)
        _football(pen, (ahead, 0.15), -pen.times * 2.2)
        return
    phase = shot(pen, person, 0.62, 0.5)
    swing = keyed(
        phase, ((0.0, 0.0), (0.2, 0.02), (0.4, -0.14), (0.5, 0.07), (0.6, 0.2), (0.85, 0.0))
    )
    flex = keyed(
        phase, ((0.0, 0.02), (0.2, 0.05), (0.4, 0.2), (0.5, 0.04), (0.6, 0.01), (0.85, 0.03))
    )
    hip: Point = (-0.05 + swing * 0.25, 0.86)
    knee = toward(hip, swing, THIGH)
    kick = toward(knee, swing - flex, SHIN)
    neck = toward(hip, 0.5 + swing * 0.22 - 0.02, TRUNK)
    balance = swing * 0.8
    hands = (
        toward(neck, -0.13 - balance, 0.5),
        toward(neck, 0.15 + balance * 0.8, 0.5),
    )
    toes = (0.25 + swing - flex * 0.5, 0.25)
    pose = Pose(hip, neck, hands, (kick, (0.05, 0.07)), toes, gaze=0.48)
    draw_person(pen, pose, wear)
    p = fraction(phase)
    gone = np.maximum(p - 0.5, 0.0) / (0.62 * person.tempo)
    coming = np.maximum(0.5 - p, 0.0) / (0.62 * person.tempo)
    rise = np.maximum(0.0, 2.6 * gone - 4.9 * gone * gone)
    x = 0.42 + np.where(p < 0.5, 2.6 * coming, 6.5 * gone)
    _football(pen, (x, 0.15 + rise), -x * 0.9)


def _oval(pen: Pen, centre: Point, angle: Value) -> None:
    """An American football: pointed, brown, a white lace; `angle` of its long axis."""
    a, b = toward(centre, angle, 0.15), toward(centre, angle + 0.5, 0.15)
    brown: Colour = (140, 72, 32)
    pen.limb(centre, a, 0.115, brown, 0.04)
    pen.limb(centre, b, 0.115, brown, 0.04)
    pen.limb(between(centre, a, 0.45), between(centre, b, 0.45), 0.028, _WHITE)


def _padded(pen: Pen, pose: Pose, wear: Outfit) -> None:
    """Shoulder pads, the helmet's mask and stripe."""
    chest = between(pose.neck, pose.hip, 0.12)
    pen.limb((chest[0] - 0.1, chest[1]), (chest[0] + 0.1, chest[1]), 0.16, wear.shirt)
    head = toward(pose.neck, pose.gaze, 0.23)
    for drop in (0.02, 0.09):
        mask = (head[0] + 0.19, head[1] - drop)
        pen.limb((head[0] + 0.08, mask[1]), mask, 0.016, (225, 225, 228))
    pen.limb((head[0] - 0.1, head[1] + 0.1), (head[0] + 0.07, head[1] + 0.13), 0.022, _WHITE)


def football(pen: Pen, person: Person, style: float) -> None:
    """American football: a run with the ball (style below 0.5) or a forward pass."""
    wear = replace(
        outfit(person),
        sleeve=person.skin,
        trousers=darker(_WHITE, 0.93),
        shin=person.shirt,
        helmet=person.extra,
    )
    if style < 0.5:
        pose = run_pose(cycle(pen, person, 1.45), stride=1.2, lean=0.06)
        pose.bulk = 1.15
        tuck = (pose.neck[0] + 0.2, pose.neck[1] - 0.3)
        pose.hands = (tuck, pose.hands[1])
        draw_person(pen, pose, wear, near_arm=False)
        _padded(pen, pose, wear)
        _oval(pen, (tuck[0] + 0.02, tuck[1] + 0.06), 0.32)
        draw_arm(pen, pose, wear, 0)
        return
    phase = shot(pen, person, 0.62, 0.5)
    step = keyed(phase, ((0.0, 0.0), (0.38, -0.06), (0.55, 0.12), (0.8, 0.1), (0.95, 0.0)))
    hip: Point = (step, 0.84)
    neck = toward(hip, 0.5 + 0.02 - 0.45 * step, TRUNK)
    # the hand's way: chest, cocked behind the ear, over the top, down in front
    reach = keyed(
        phase, ((0.0, 0.3), (0.25, -0.25), (0.38, -0.42), (0.5, 0.35), (0.62, 0.45), (0.85, 0.3))
    )
    height = keyed(
        phase, ((0.0, -0.2), (0.25, 0.12), (0.38, 0.2), (0.46, 0.42), (0.62, -0.3), (0.85, -0.25))
    )
    hand = (neck[0] + reach, neck[1] + height)
    guide = (
        neck[0] + keyed(phase, ((0.0, 0.32), (0.4, 0.5), (0.6, -0.1), (0.85, 0.3))),
        neck[1] - 0.18,
    )
    front = keyed(phase, ((0.0, 0.2), (0.36, 0.25), (0.5, 0.45), (0.8, 0.4), (0.95, 0.2)))
    pose = Pose(hip, neck, (hand, guide), ((-0.3, 0.07), (front, 0.07)), gaze=0.49, bulk=1.15)
    draw_person(pen, pose, wear, near_arm=False)
    _padded(pen, pose, wear)
    p = fraction(phase)
    flight = np.maximum(p - 0.5, 0.0) / (0.62 * person.tempo)
    held = p < 0.5
    x = np.where(held, hand[0], 0.45 + 7.0 * flight)
    y = np.where(held, hand[1] + 0.04, 1.75 + 2.6 * flight - 4.9 * flight * flight)
    # caught out of the picture; the next ball is handed over at the cycle's start
    _oval(pen, (x, y), np.where(held, 0.2, 0.29 - 0.1 * flight))
    draw_arm(pen, pose, wear, 0)


def golf(pen: Pen, person: Person, style: float) -> None:
    """A full swing, seen from the front: back, down, through; the ball leaves."""
    phase = shot(pen, person, 0.55, 0.62)
    # arms about the shoulders and club about the hands, turns from straight down
    arms = keyed(
        phase, ((0.0, 0.02), (0.1, 0.0), (0.5, -0.36), (0.62, 0.03), (0.76, 0.36), (0.9, 0.3))
    )
    cock = keyed(
        phase,
        (
            (0.0, 0.0),
            (0.12, 0.0),
            (0.5, -0.24),
            (0.57, -0.14),
            (0.63, 0.0),
            (0.78, 0.26),
            (0.9, 0.2),
        ),
    )
    shift = 0.05 * smooth(arms, -0.1, 0.3) - 0.025
    hip: Point = (shift, 0.9)
    neck: Point = (-0.5 * shift, 1.4)
    hands = toward(between(neck, hip, 0.12), arms, 0.54)
    wear = outfit(person)
    grip = (hands[0] + 0.02, hands[1])
    pose = Pose(hip, neck, (hands, grip), ((0.24, 0.06), (-0.24, 0.06)), (0.2, -0.2), gaze=0.49)
    for side, out in ((1, -0.09), (0, 0.09)):
        leg = replace(pose, hip=(hip[0] + out, hip[1]), knee_bend=1.0 if side == 0 else -1.0)
        draw_leg(pen, leg, wear, side)
    club = toward(hands, arms + cock, 0.86)
    pen.limb(hands, club, 0.02, (215, 218, 225))
    tip = toward(club, arms + cock + 0.22, 0.12)
    pen.limb(club, tip, 0.045, _DARK)
    for side, out in ((1, -0.12), (0, 0.12)):
        shoulder = (neck[0] + out, neck[1] - 0.05)
        joint = elbow(shoulder, hands, 0.285, 0.27, 1.0 if side == 0 else -1.0)
        shade = 1.0 if side == 0 else 0.8
        pen.limb(shoulder, joint, 0.066, darker(wear.shirt, shade))
        pen.limb(joint, hands, 0.055, darker(wear.sleeve, shade), 0.045)
    for out in (-0.06, 0.06):
        pen.limb((hip[0] + out, hip[1]), (neck[0] + out, neck[1] - 0.08), 0.12, wear.shirt)
    draw_trunk(pen, pose, wear)
    if style > 0.3:
        brim = toward(neck, 0.5, 0.3)
        pen.limb((brim[0] - 0.1, brim[1]), (brim[0] + 0.16, brim[1] - 0.02), 0.045, person.extra)
    pen.disc(hands, 0.062, wear.skin)
    p = fraction(phase)
    flight = np.maximum(p - 0.62, 0.0) / (0.55 * person.tempo)
    ball = (0.1 + 16.0 * flight, 0.06 + 9.0 * flight - 4.9 * flight * flight)
    pen.limb((0.1, 0.0), (0.1, 0.03), 0.02, (220, 180, 120))
    pen.disc(ball, 0.058, _WHITE)
    _flag(pen, turned((-1.15 - 0.2 * style, 0.0), (0.0, 0.0), 0.0))


def _flag(pen: Pen, foot: Point) -> None:
    """The hole's flag, waving."""
    top = (foot[0], foot[1] + 1.55)
    pen.limb(foot, top, 0.018, (235, 235, 230))
    wave = 0.05 * sine(pen.times * 1.6)
    end = (top[0] - 0.46, top[1] - 0.16 + wave)
    pen.polygon((top, end, (top[0], top[1] - 0.32)), (215, 35, 40))
