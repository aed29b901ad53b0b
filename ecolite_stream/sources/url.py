"""Network streams, and videos on web servers."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable
from dataclasses import replace

from av.container import InputContainer

from ecolite_stream.config.choices import SOFTWARE
from ecolite_stream.config.redact import redact_url
from ecolite_stream.errors import SourceError
from ecolite_stream.sources.base import WAIT_S
from ecolite_stream.sources.container import ContainerSource, Input, open_container
from ecolite_stream.sources.failures import URL_PROBLEMS
from ecolite_stream.sources.rtsp_redirect import redirect_checked

SCHEMES = ("rtsp", "rtspu", "rtsps", "http", "https", "rtmp", "rtmps", "rtp", "tcp", "udp")
"""What URLs may begin with."""

_OPTIONS = {
    "rtsp": {"rtsp_transport": "tcp"},  # UDP loses packets, and many networks block it
    "rtspu": {"rtsp_transport": "udp"},  # who wants it nevertheless; GStreamer's word
    "rtsps": {"rtsp_transport": "tcp"},
}

_SIZE_SAYS_NOTHING = frozenset({"hls", "dash", "mpjpeg"})
"""FFmpeg's names of formats whose length in bytes is not that of a recording."""

_STILL = re.compile(r"image2|\w+_pipe")
"""FFmpeg's names of single pictures."""
_INDEX_LAST = (
    "its index may stand last, which needs a server with ranges: download the file, or rewrite it "
    "with ffmpeg -i FILE -c copy -movflags +faststart NEW"
)

_MAY_LISTEN = ("rtp", "tcp", "udp")
"""What may be at every address of this machine, so that no host is named."""
_PORT = r"0*(6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]?\d{1,4})"
_HOST = re.compile(rf"(\[[^\[\]]+\]|[^:\[\]\s]+)(:{_PORT}?)?")
"""A host, and a port maybe."""


class UrlSource(ContainerSource):
    """A stream from the network.

    It is live, with times as `LiveTimes` says, except for a file on a web server: what comes over
    http or https and says its length, in seconds or bytes, has the times of a recording.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str | None = None,
        open_timeout_s: float = WAIT_S,
        read_timeout_s: float = WAIT_S,
        decode: str = SOFTWARE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        url: may hold credentials; only FFmpeg receives them.
        name: name for messages; None takes the URL without credentials.
        open_timeout_s: most seconds to open the stream.
        read_timeout_s: most seconds to wait for its next data.
        decode: device that decodes it, one of `DECODERS`.
        clock: seconds, monotonic.

        Raises:
            SourceError: unknown kind of URL, no such server or stream, not allowed, no answer.
        """
        name = redact_url(url) if name is None else name
        scheme = check_url(url)
        web = scheme in ("http", "https")
        # FFmpeg knows no scheme for UDP.
        location = f"rtsp{url[len(scheme) :]}" if scheme == "rtspu" else url
        what = Input(
            location,
            name,
            URL_PROBLEMS,
            options=_OPTIONS.get(scheme, {}),
            open_timeout_s=open_timeout_s,
            read_timeout_s=read_timeout_s,
            decode=decode,
        )
        with redirect_checked(url, name):
            container = open_container(what)
        if _STILL.fullmatch(container.format.name):
            container.close()
            raise SourceError(
                f"{name}: one picture a request, no stream; use the camera's RTSP address, or "
                "the one of its MJPEG stream (download a picture to watch it as a file)",
                permanent=True,
            )
        if web and container.size <= 0:
            # FFmpeg's word for a web stream of unknown length that the server ended.
            what = replace(what, end_errors=(errno.EIO,))
        if web and "mp4" in container.format.name:
            what = replace(what, no_frame_advice=_INDEX_LAST)
        super().__init__(container, what, live=not (web and _is_whole(container)), clock=clock)


def _is_whole(container: InputContainer) -> bool:
    """Whether what a web server sends is a recording: it says its length, in seconds or bytes.

    A list of pieces has the size of the list, and web cameras invent one for pictures without end.
    """
    if container.duration:
        return True
    return container.size > 0 and container.format.name not in _SIZE_SAYS_NOTHING


def check_url(url: str) -> str:
    """The scheme of a URL, in small letters.

    Raises:
        SourceError: it has none, or one of another kind than `SCHEMES`.
    """
    scheme, separator, _ = url.lower().partition("://")
    if not separator:  # and who knows what it is, so that it is not shown
        raise SourceError("a URL without ://; write it as in rtsp://HOST/PATH", permanent=True)
    if scheme not in SCHEMES:
        known = ", ".join(f"{known}://" for known in SCHEMES)
        raise SourceError(
            f"{redact_url(url)}: unknown kind of URL {scheme}://; choose from {known}, "
            "or name a file by its path",
            permanent=True,
        )
    _check_is_encoded(url)
    if scheme not in _MAY_LISTEN and not _HOST.fullmatch(_authority(url)):
        raise SourceError(
            f"{redact_url(url)}: no host, or no port, that can be; write it as in "
            f"{scheme}://HOST:PORT/PATH, reserved characters of a password as %XX",
            permanent=True,
        )
    return scheme


def _check_is_encoded(url: str) -> None:
    """Refuse an address of which FFmpeg would take a part of the password for the path.

    It takes what stands before the first /, ? or # for user, password, host and port, so that
    rtsp://me:12#34@host would be the host "me". An "@" after that mark is a sign of it where the
    mark is a #, or where what stands before it is no plain host.

    Raises:
        SourceError: it is such an address.
    """
    match = re.match(r"([^/?#]*)([/?#])(.*)", url.partition("://")[2], re.DOTALL)
    if match is None or "@" in match[1] or "@" not in match[3]:
        return
    host, colon, _ = match[1].partition(":")
    is_user = bool(host and colon) and not re.search(r"[.\[\]]|^localhost$", host)
    if match[2] != "#" and not is_user:
        return
    raise SourceError(
        f"{redact_url(url)}: has an @ behind a /, ? or #, as of a password that is not "
        "percent-encoded; write these characters of a user or password as %2F, %3F and %23 "
        "(and @ in a path as %40)",
        permanent=True,
    )


def _authority(url: str) -> str:
    """What stands for host and port, as FFmpeg takes a URL apart."""
    authority = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    return authority.rpartition("@")[2]
