"""GStreamer's RTSP client, which shares no code with FFmpeg. Run by the system's Python: its bindings live there.

URL, protocol (tcp, udp) and count as arguments; prints size and count of the pictures it got whole.
"""

# mypy: ignore-errors
from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402 - the version must be named first


def main() -> int:
    url, protocol, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    Gst.init(None)
    chain = (
        f"rtspsrc location={url} protocols={protocol} latency=50 ! rtph264depay ! "
        f"h264parse ! video/x-h264,alignment=au,stream-format=byte-stream ! fakesink name=end num-buffers={count}"
    )
    pipeline = Gst.parse_launch(chain)
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(30 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    caps = pipeline.get_by_name("end").get_static_pad("sink").get_current_caps()
    pipeline.set_state(Gst.State.NULL)
    if message is None or message.type == Gst.MessageType.ERROR:
        print("nothing in time" if message is None else message.parse_error())
        return 1
    shape = caps.get_structure(0)
    print(shape.get_value("width"), shape.get_value("height"), count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
