"""A real RTSP server, GStreamer's; run by Debian's own Python, which alone has its bindings.

    /usr/bin/python3 rtsp_server.py --port 8554 [--size 160x120] [--fps 15] [--keyframes 15]
        [--protocol udp] [--loss 0.05] [--user me --password secret] [--host 127.0.0.1]
        [--frames FILE] [--path /live ...]

It serves a test picture, or the frames of a file, at rtsp://HOST:PORT/live, or at each path, and
prints "ready" once it listens.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import operator
from pathlib import Path
from typing import Any

PROTOCOLS = {"both": ("TCP", "UDP"), "tcp": ("TCP",), "udp": ("UDP",)}
"""Names of `GstRtsp.RTSPLowerTrans`."""


def main() -> None:
    options = parsed()
    # Only the interpreter that runs this file has them, not that of the package.
    import gi

    for name in ("Gst", "GstRtsp", "GstRtspServer"):
        gi.require_version(name, "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address(options.host)
    server.set_service(str(options.port))
    protocols = [getattr(GstRtsp.RTSPLowerTrans, name) for name in PROTOCOLS[options.protocol]]
    for path in options.path or ["/live"]:
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(launch_line(options))
        factory.set_shared(True)
        factory.set_protocols(functools.reduce(operator.or_, protocols))
        if options.frames:
            factory.connect("media-configure", show_frames, Gst, GLib, options)
        if options.user:
            lock(GstRtspServer, server, factory, options.user, options.password)
        server.get_mount_points().add_factory(path, factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


def launch_line(options: argparse.Namespace) -> str:
    width, height = options.size.split("x")
    source = "videotestsrc is-live=true"
    if options.frames:
        source = "appsrc name=frames is-live=true do-timestamp=true format=time"
    loss = f"! identity drop-probability={options.loss} name=pay0" if options.loss else "name=pay0"
    return (
        f"( {source} ! video/x-raw,width={width},height={height},"
        f"framerate={options.fps}/1,format=I420 ! x264enc tune=zerolatency speed-preset=ultrafast "
        f"threads=1 key-int-max={options.keyframes} ! rtph264pay pt=96 {loss} )"
    )


def show_frames(factory: Any, media: Any, gst: Any, glib: Any, options: argparse.Namespace) -> None:
    """Push the frames of a file into a stream, again and again, until nobody watches it."""
    source = media.get_element().get_child_by_name("frames")
    data, size = options.frames.read_bytes(), frame_bytes(options)
    numbers = itertools.cycle(range(len(data) // size))

    def push() -> bool:
        start = next(numbers) * size
        frame = gst.Buffer.new_wrapped(data[start : start + size])
        return bool(source.emit("push-buffer", frame) == gst.FlowReturn.OK)

    glib.timeout_add(1000 // options.fps, push)


def frame_bytes(options: argparse.Namespace) -> int:
    width, height = map(int, options.size.split("x"))
    return width * height * 3 // 2


def lock(rtsp: Any, server: Any, factory: Any, user: str, password: str) -> None:
    """Admit one user only."""
    token = rtsp.RTSPToken()
    token.set_string(rtsp.RTSP_TOKEN_MEDIA_FACTORY_ROLE, user)
    auth = rtsp.RTSPAuth()
    auth.add_basic(rtsp.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = rtsp.RTSPPermissions()
    permissions.add_permission_for_role(user, "media.factory.access", True)
    permissions.add_permission_for_role(user, "media.factory.construct", True)
    factory.set_permissions(permissions)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--path", action="append", help="[/live]")
    parser.add_argument("--frames", type=Path, help="a file of frames, I420, to show over and over")
    parser.add_argument("--size", default="160x120")
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--keyframes", type=int, default=15)
    parser.add_argument("--loss", type=float, default=0.0, help="share of packets that get lost")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="both")
    parser.add_argument("--user")
    parser.add_argument("--password")
    return parser.parse_args()


if __name__ == "__main__":
    main()
