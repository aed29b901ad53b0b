"""A real RTSP server, GStreamer's; run by Debian's own Python, which alone has its bindings.

    /usr/bin/python3 rtsp_server.py --port 8554 [--size 160x120] [--fps 15] [--keyframes 15]
        [--protocol udp] [--loss 0.05] [--user me --password secret]

It serves a test picture at rtsp://127.0.0.1:PORT/live and prints "ready" once it listens.
"""

from __future__ import annotations

import argparse
import functools
import operator
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
    server.set_address("127.0.0.1")
    server.set_service(str(options.port))
    factory = GstRtspServer.RTSPMediaFactory()
    width, height = options.size.split("x")
    loss = f"! identity drop-probability={options.loss} name=pay0" if options.loss else "name=pay0"
    factory.set_launch(
        f"( videotestsrc is-live=true ! video/x-raw,width={width},height={height},"
        f"framerate={options.fps}/1,format=I420 ! x264enc tune=zerolatency speed-preset=ultrafast "
        f"threads=1 key-int-max={options.keyframes} ! rtph264pay pt=96 {loss} )"
    )
    factory.set_shared(True)
    protocols = [getattr(GstRtsp.RTSPLowerTrans, name) for name in PROTOCOLS[options.protocol]]
    factory.set_protocols(functools.reduce(operator.or_, protocols))
    if options.user:
        lock(GstRtspServer, server, factory, options.user, options.password)
    server.get_mount_points().add_factory("/live", factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


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
