"""A captioned world of ten actions in ten surroundings, rendered, endless and seeded."""

from gistcast.models.scenes.dataset import Example, choose, manifest_row, stream
from gistcast.models.scenes.labels import ACTIONS, HELD_OUT, SPLITS, SURROUNDINGS, label, split
from gistcast.models.scenes.rendering import FPS, render
from gistcast.models.scenes.scene import Scene, sample_scene
from gistcast.models.scenes.weather import WEATHER

__all__ = [
    "ACTIONS",
    "FPS",
    "HELD_OUT",
    "SPLITS",
    "SURROUNDINGS",
    "WEATHER",
    "Example",
    "Scene",
    "choose",
    "label",
    "manifest_row",
    "render",
    "sample_scene",
    "split",
    "stream",
]
