"""FFmpeg's and the system's errors, translated into `SourceError` at one place.

The tables are keyed by error number, which `OSError` and every `av.error.FFmpegError` carry.
Texts of the libraries are not passed on where they could repeat a URL with its password.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from av.error import tag_to_code

from ecolite_stream.errors import SourceError

Problems = Mapping[int, tuple[str, str]]
"""Error number -> (what is wrong, what to do next)."""

# FFmpeg's own errors.
NO_SUCH_FORMAT = tag_to_code(b"\xf8DEM")
_END_OF_FILE = tag_to_code(b"EOF ")
_INTERRUPTED = tag_to_code(b"EXIT")  # which is what PyAV does when time is up
_NO_SUCH_PROTOCOL = tag_to_code(b"\xf8PRO")
_INVALID_DATA = tag_to_code(b"INDA")
_NOT_IMPLEMENTED = tag_to_code(b"PAWE")

_NOT_VIDEO = (
    "holds no video that can be read, or its header is damaged",
    "try it in a video player or convert it with ffmpeg",
)

FILE_PROBLEMS: Problems = {
    errno.ENOENT: ("no such file", "check the path"),
    errno.EISDIR: ("is a directory, expected a video file", "name a file inside it"),
    errno.ENOTDIR: ("no such file: a part of the path is not a directory", "check the path"),
    errno.EACCES: ("may not be read by this user", "change its permissions"),
    errno.EPERM: ("may not be read by this user", "change its permissions"),
    errno.EIO: ("is cut off or damaged, or its disk is", "copy or record it again"),
    errno.EINVAL: _NOT_VIDEO,
    _INVALID_DATA: _NOT_VIDEO,
    _END_OF_FILE: _NOT_VIDEO,
    NO_SUCH_FORMAT: _NOT_VIDEO,
    _NOT_IMPLEMENTED: _NOT_VIDEO,
}

_SILENT_CAMERA = ("gives no pictures in time", "plug it in again")


def camera_problems(choice: str) -> Problems:
    """What can be wrong with a camera.

    Args:
        choice: the advice to a user who needs another camera.
    """
    return {
        errno.ENOENT: ("no such camera", choice),
        errno.ENODEV: ("the camera is gone", choice),
        errno.ENXIO: ("the camera is gone", choice),
        errno.EIO: ("the camera cannot be read", choice),
        errno.ENOTTY: ("is not a camera", choice),
        errno.EINVAL: ("gives no pictures", choice),
        errno.EBUSY: ("another program uses the camera", "close that program"),
        errno.EACCES: ("this user may not use the camera", "join the group video, or allow it"),
        errno.EPERM: ("this user may not use the camera", "join the group video, or allow it"),
        errno.EAGAIN: _SILENT_CAMERA,
        errno.ETIMEDOUT: _SILENT_CAMERA,
        _INTERRUPTED: _SILENT_CAMERA,
        NO_SUCH_FORMAT: (
            "this PyAV cannot read cameras on this system",
            "serve the camera as a network stream and give its URL",
        ),
    }


_SILENT = ("no answer in time", "check the address, and that the stream is being sent")

URL_PROBLEMS: Problems = {
    errno.ECONNREFUSED: ("connection refused", "check host and port, and that it is running"),
    errno.ECONNRESET: ("the connection was reset", "check the server, then try again"),
    errno.ECONNABORTED: ("the connection was broken off", "check the server, then try again"),
    errno.EPIPE: ("the connection was broken off", "check the server, then try again"),
    errno.ETIMEDOUT: _SILENT,
    _INTERRUPTED: _SILENT,
    errno.EAGAIN: _SILENT,
    errno.EHOSTUNREACH: ("the host cannot be reached", "check the address and the network"),
    errno.ENETUNREACH: ("the network cannot be reached", "check the address and the network"),
    # FFmpeg says EIO for a host name that nobody knows.
    errno.EIO: ("the host is unknown or the connection broke", "check the address"),
    errno.EINVAL: ("cannot be opened as a stream", "check the address"),
    errno.EPROTONOSUPPORT: (
        "the server does not send in this way",
        "try rtspu:// for video over UDP, or rtsp:// for TCP",
    ),
    tag_to_code(b"\xf8400"): ("the server answered 400 bad request", "check the address"),
    tag_to_code(b"\xf8401"): (
        "the server answered 401: user or password is missing or wrong",
        "give them as SCHEME://USER:PASSWORD@HOST",
    ),
    tag_to_code(b"\xf8403"): ("the server answered 403: not allowed", "check user and rights"),
    tag_to_code(b"\xf8404"): ("the server answered 404: not found", "check the path"),
    tag_to_code(b"\xf8429"): ("the server answered 429: too often", "wait a while"),
    tag_to_code(b"\xf84XX"): ("the server refused the request (4xx)", "check the address"),
    tag_to_code(b"\xf85XX"): ("the server failed (5xx)", "check the server"),
    _INVALID_DATA: ("what it sends is not video", "check the path"),
    _END_OF_FILE: ("the server ended the stream before a picture came", "check the server"),
    _NO_SUCH_PROTOCOL: ("this PyAV cannot speak this protocol", "use another URL"),
}

_PERMANENT = frozenset({NO_SUCH_FORMAT, _NO_SUCH_PROTOCOL})
"""Errors that retrying cannot fix."""


def source_error(name: str, error: Exception, problems: Problems) -> SourceError:
    """Translate an error of FFmpeg or the operating system into one line.

    Args:
        name: name of the source.
        error: an `av.error.FFmpegError`, `OSError` or the like.
        problems: the table for this kind of source.
    """
    number = getattr(error, "errno", None)
    if number is not None and number in problems:
        problem, advice = problems[number]
        return SourceError(f"{name}: {problem}; {advice}", permanent=number in _PERMANENT)
    reason = getattr(error, "strerror", None) or type(error).__name__
    return SourceError(f"{name}: cannot be read: {reason}; check the source")
