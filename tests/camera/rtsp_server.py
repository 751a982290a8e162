"""A real RTSP server (GStreamer's) with a moving H.264 picture. Run by the system's Python: its bindings live there.

`/ball` moves; with an MP4 file as argument, `/clip` plays it, its H.264 as it is. Prints its port, then obeys lines on
stdin: `freeze` stops the ball with the connection open; end of input ends it.
"""

# mypy: ignore-errors
from __future__ import annotations

import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 - the versions must be named first

PIPELINE = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=25/1 ! identity name=gate "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)
CLIP = "( filesrc location={path} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
frozen = threading.Event()


def drop_when_frozen(pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
    return Gst.PadProbeReturn.DROP if frozen.is_set() else Gst.PadProbeReturn.OK


def configure(factory: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia) -> None:
    gate = media.get_element().get_by_name("gate")
    gate.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, drop_when_frozen)


def add(server: GstRtspServer.RTSPServer, path: str, pipeline: str) -> GstRtspServer.RTSPMediaFactory:
    factory = GstRtspServer.RTSPMediaFactory(launch=pipeline, shared=True)
    factory.add_role_from_structure(
        Gst.Structure.new_from_string("user,media.factory.access=(boolean)true,media.factory.construct=(boolean)true")
    )
    server.get_mount_points().add_factory(path, factory)
    return factory


def obey(loop: GLib.MainLoop) -> None:
    for line in sys.stdin:
        if line.strip() == "freeze":
            frozen.set()
    loop.quit()


def main() -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service="0")
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic("user", "p@ss"), token)
    server.set_auth(auth)
    add(server, "/ball", PIPELINE).connect("media-configure", configure)
    for path in sys.argv[1:2]:
        add(server, "/clip", CLIP.format(path=path))
    server.attach(None)
    loop = GLib.MainLoop()
    threading.Thread(target=obey, args=(loop,), daemon=True).start()
    print(server.get_bound_port(), flush=True)
    loop.run()


if __name__ == "__main__":
    main()
