"""One sender to many viewers, without decoding: clips come in whole and go out packet by packet.

sender ==> Receiver -> Relay -> Viewer ==> viewer
                          '---> Viewer ==> viewer      each its own channels, rate and layers
"""

from gistcast.stream.relay.relay import Relay, RelaySettings
from gistcast.stream.relay.server import RelayServer
from gistcast.stream.relay.viewer import Viewer, ViewerSettings

__all__ = ["Relay", "RelayServer", "RelaySettings", "Viewer", "ViewerSettings"]
