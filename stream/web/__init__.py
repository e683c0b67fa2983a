"""The page: the regenerated stream as ordinary video in a browser, with statistics and controls.

clips -> Player -> Timeline -> video tracks ==WebRTC==> browser
           '-----> History  -> /api/live    --HTTP--->  plots
sliders  --HTTP--> Controls -> whoever they act on
"""

from gistcast.stream.web.controls import Choice, Controls, Slider
from gistcast.stream.web.feed import Feed
from gistcast.stream.web.history import History
from gistcast.stream.web.page import Page, View
from gistcast.stream.web.player import Player
from gistcast.stream.web.timeline import Timeline
from gistcast.stream.web.tracks import VideoPeer, Watchers

__all__ = [
    "Choice",
    "Controls",
    "Feed",
    "History",
    "Page",
    "Player",
    "Slider",
    "Timeline",
    "VideoPeer",
    "View",
    "Watchers",
]
