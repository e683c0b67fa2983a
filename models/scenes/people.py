"""One figure for all actions: a jointed person seen from the side, sized in metres.

hip, neck + hands + feet --inverse kinematics--> elbows, knees --> far limbs, trunk, near limbs
"""

from __future__ import annotations

from dataclasses import dataclass

from gistcast.models.scenes.canvas import Colour
from gistcast.models.scenes.exact import Point, Value
from gistcast.models.scenes.pen import Pen, between, darker, elbow, toward, within

THIGH, SHIN, UPPER_ARM, FOREARM, TRUNK = 0.45, 0.44, 0.3, 0.28, 0.52
_SHOE: Colour = (45, 42, 45)


@dataclass(frozen=True)
class Person:
    """Somebody in a scene.

    Attributes:
        kind: "man" or "woman".
        shirt_name: the shirt's colour in words.
        shirt, trousers, skin, hair, extra: colours; `extra` is for a sail, a board, a helmet.
        long_sleeves, long_trousers: what the clothes cover.
        height: relative to the average.
        phase: where in the action's cycle they start, turns.
        tempo: relative speed of the cycle.
        x, depth: place relative to the main person: view units, and times their distance.
        facing: +1 right, -1 left.
    """

    kind: str
    shirt_name: str
    shirt: Colour
    trousers: Colour
    skin: Colour
    hair: Colour
    extra: Colour
    long_sleeves: bool
    long_trousers: bool
    height: float
    phase: float
    tempo: float
    x: float
    depth: float
    facing: int


@dataclass
class Pose:
    """Where the joints are: metres, x forwards, y up; index 0 is the near side.

    Attributes:
        hip, neck: ends of the trunk.
        hands, feet: ends of the limbs (a foot is its ankle).
        toes: direction of each foot, turns from straight down (0.25: flat, pointing forwards).
        knee_bend, elbow_bend: the side joints bend to, as in `elbow`.
        gaze: tilt of the head from straight up, turns.
        bulk: thickness of trunk and limbs, relative.
    """

    hip: Point
    neck: Point
    hands: tuple[Point, Point]
    feet: tuple[Point, Point]
    toes: tuple[Value, Value] = (0.25, 0.25)
    knee_bend: float = 1.0
    elbow_bend: float = -1.0
    gaze: Value = 0.5
    bulk: float = 1.0


@dataclass(frozen=True)
class Outfit:
    """What a figure wears, resolved to colours."""

    shirt: Colour
    sleeve: Colour
    trousers: Colour
    shin: Colour
    skin: Colour
    hair: Colour
    shoe: Colour = _SHOE
    helmet: Colour | None = None
    hand: Colour | None = None


def outfit(person: Person) -> Outfit:
    """Everyday clothes."""
    return Outfit(
        shirt=person.shirt,
        sleeve=person.shirt if person.long_sleeves else person.skin,
        trousers=person.trousers,
        shin=person.trousers if person.long_trousers else person.skin,
        skin=person.skin,
        hair=person.hair,
    )


def draw_leg(pen: Pen, pose: Pose, wear: Outfit, side: int, *, foot: bool = True) -> None:
    """One leg; side 0 is near."""
    shade = 1.0 if side == 0 else 0.72
    ankle, b = pose.feet[side], pose.bulk
    knee = elbow(pose.hip, ankle, THIGH, SHIN, pose.knee_bend)
    # the shin ends where the bone does, even if the foot was asked to be further away
    far = within(knee, ankle, SHIN)
    pen.limb(knee, far, 0.068 * b, darker(wear.shin, shade), 0.048 * b)
    pen.limb(pose.hip, knee, 0.1 * b, darker(wear.trousers, shade), 0.075 * b)
    if foot:
        toe = toward(far, pose.toes[side], 0.15)
        pen.limb(far, toe, 0.05, darker(wear.shoe, shade), 0.04)


def draw_arm(pen: Pen, pose: Pose, wear: Outfit, side: int) -> None:
    """One arm; side 0 is near."""
    shade = 1.0 if side == 0 else 0.72
    shoulder, b = between(pose.neck, pose.hip, 0.1), pose.bulk
    hand = pose.hands[side]
    joint = elbow(shoulder, hand, UPPER_ARM, FOREARM, pose.elbow_bend)
    far = within(joint, hand, FOREARM)
    pen.limb(shoulder, joint, 0.066 * b, darker(wear.shirt, shade * 0.94), 0.056 * b)
    pen.limb(joint, far, 0.052 * b, darker(wear.sleeve, shade), 0.042 * b)
    pen.disc(far, 0.052, darker(wear.hand or wear.skin, shade))


def draw_trunk(pen: Pen, pose: Pose, wear: Outfit) -> None:
    """Trunk and head."""
    b = pose.bulk
    waist = between(pose.hip, pose.neck, 0.3)
    pen.limb(pose.hip, waist, 0.125 * b, wear.trousers)
    pen.limb(waist, between(pose.neck, pose.hip, 0.14), 0.125 * b, wear.shirt, 0.15 * b)
    head = toward(pose.neck, pose.gaze, 0.2)
    pen.limb(pose.neck, head, 0.06, darker(wear.skin, 0.9))
    if wear.helmet is None:
        pen.disc(toward(head, pose.gaze, 0.03), 0.135, wear.hair)
        face = head[0] + 0.035, head[1] - 0.025
        pen.disc(face, 0.112, wear.skin)
        pen.disc((face[0] + 0.07, face[1] + 0.025), 0.016, (40, 30, 30))
    else:
        shell = toward(head, pose.gaze, 0.045)
        pen.disc((shell[0] - 0.015, shell[1]), 0.142, wear.helmet)
        pen.disc((head[0] + 0.06, head[1] - 0.035), 0.088, wear.skin)


def draw_person(pen: Pen, pose: Pose, wear: Outfit, *, near_arm: bool = True) -> None:
    """A whole figure, the far side first; leave the near arm out to draw something under it."""
    draw_arm(pen, pose, wear, 1)
    draw_leg(pen, pose, wear, 1)
    draw_leg(pen, pose, wear, 0)
    draw_trunk(pen, pose, wear)
    if near_arm:
        draw_arm(pen, pose, wear, 0)
