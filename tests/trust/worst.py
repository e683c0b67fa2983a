"""What the dearest clips cost to decode: `python tests/trust/worst.py`.

Noise in every band of frames at rest, and of the largest canvas that a moving camera may ask for:
every group is present, and every level is coded. Prints time and memory by sample of the clip.
"""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np

from gistcast.codec.decoder import Decoder
from gistcast.codec.errors import CorruptError
from gistcast.codec.header import Header
from gistcast.codec.layout import make_layout
from gistcast.codec.motion import Motion
from gistcast.codec.packet import RESIDUAL, Packet, put_varint
from gistcast.codec.residual import ResidualEncoder
from gistcast.codec.tables import load_tables

QUANTISER = 60


def largest_motion(frames: int, side: int) -> Motion:
    """A pan as far as the canvas may reach: nearly twice the frame in both directions."""
    best = Motion(0, ((0,), (0,)))
    for shift in range(1, 8 * side):
        motion = Motion(0, ((shift,), (shift,)))
        try:
            motion.margins(frames, side, side)
        except CorruptError:
            break
        best = motion
    return best


def payload(frames: int, side: int, motion: Motion | None) -> bytes:
    """A residual layer of noise."""
    layout, rng = make_layout(frames, side, side, motion), np.random.default_rng(0)
    bands = [
        {k: rng.normal(0, 300, (frames, *shape)).astype(np.float32) for k, shape in plane.items()}
        for plane in layout.shapes
    ]
    chosen = ResidualEncoder(load_tables(), 0.0).choose(layout, bands, QUANTISER, motion)
    return bytes([QUANTISER]) + put_varint(0) + chosen.layer(0, len(layout.groups))


def peak(*, reset: bool = False) -> int:
    """Most bytes in memory, since the last reset."""
    if reset:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))


def main() -> None:
    """Measure both."""
    for frames, side in ((8, 32), (32, 64), (32, 128)):
        header = Header(side, side, Fraction(25)).to_bytes()
        for name, motion in (("at rest", None), ("moving", largest_motion(frames, side))):
            packet = Packet(0, RESIDUAL, payload(frames, side, motion), True, frames)
            if len(packet.payload) > 1 << 20:
                print(f"{side}x{side}, {frames} frames, {name}: more than a packet holds")
                continue
            decoder = Decoder(header)
            decoder.decode_clip([packet])
            before, started = peak(reset=True), time.process_time()
            decoded = decoder.decode_clip([packet])
            seconds, samples = time.process_time() - started, frames * side * side * 3 / 2
            print(
                f"{side}x{side}, {frames} frames, {name}: {len(packet.payload)} bytes, "
                f"{seconds:.3f} s, {1e6 * seconds / samples:.2f} us and "
                f"{(peak() - before) / samples:.1f} bytes a sample, {len(decoded.damage)} damaged"
            )


if __name__ == "__main__":
    main()
