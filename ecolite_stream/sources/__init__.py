"""Sources of frames: cameras, files, network streams and a test pattern."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ecolite_stream.config.choices import SOFTWARE
from ecolite_stream.config.redact import redact_url
from ecolite_stream.errors import SourceError
from ecolite_stream.sources.base import WAIT_S, Source
from ecolite_stream.sources.camera import CameraSource, camera_device
from ecolite_stream.sources.container import ContainerSource
from ecolite_stream.sources.file import FileSource, check_file
from ecolite_stream.sources.pacing import Paced
from ecolite_stream.sources.pattern import Pattern, PatternSource
from ecolite_stream.sources.pipe import NAME, STDIN, PipeSource
from ecolite_stream.sources.url import UrlSource, check_url

__all__ = [
    "CameraSource",
    "FileSource",
    "Paced",
    "Pattern",
    "PatternSource",
    "PipeSource",
    "Source",
    "UrlSource",
    "check_spec",
    "may_be_live",
    "open_source",
    "redact_url",
]


_URL = re.compile(r"[A-Za-z][\w+.-]*://")


def may_be_live(spec: str) -> bool:
    """Whether a source is a camera or a URL. Only its server knows whether a URL is live."""
    is_camera = spec.partition(":")[0] == "camera" or camera_device(spec) is not None
    return is_camera or bool(_URL.match(spec))


def open_source(
    spec: str,
    *,
    name: str | None = None,
    realtime: bool = False,
    end_is_worth_a_warning: bool = True,
    open_timeout_s: float = WAIT_S,
    read_timeout_s: float = WAIT_S,
    decode: str = SOFTWARE,
) -> Source:
    """Open a source.

    Args:
        spec: "camera", "camera:1" or the path of a camera's device; "pattern", with options as in
            "pattern:seconds=10,fps=25,size=320x240"; a URL such as "rtsp://host/path"; "-" for
            standard input; anything else is the path of a video file.
        name: name of the source; None takes the spec without credentials.
        realtime: play a recording or a pattern at its own speed, not as fast as it decodes.
        end_is_worth_a_warning: log the end of a live source.
        open_timeout_s: most seconds to open a camera or a stream.
        read_timeout_s: most seconds to wait for its next data.
        decode: device that decodes its video, one of `config.choices.DECODERS`; software does
            where it cannot, and for patterns and standard input.

    Raises:
        SourceError: the source cannot be opened.
    """
    name = redact_url(spec) if name is None else name
    source = _opener(spec, name, open_timeout_s, read_timeout_s, decode)()
    if isinstance(source, ContainerSource):
        source.end_is_worth_a_warning = end_is_worth_a_warning
    return Paced(source) if realtime and not source.live else source


def check_spec(spec: str) -> None:
    """Check a source without opening it.

    Raises:
        SourceError: it can never be opened: an unknown kind of URL, a missing file.
    """
    _opener(spec, redact_url(spec))


def _opener(
    spec: str,
    name: str,
    open_timeout_s: float = WAIT_S,
    read_timeout_s: float = WAIT_S,
    decode: str = SOFTWARE,
) -> Callable[[], Source]:
    if not spec:
        raise SourceError(
            "the source is empty; name a camera, a pattern, a URL or a file", permanent=True
        )
    if spec == STDIN:
        return partial(PipeSource, name=NAME if name == STDIN else name)
    if _URL.match(spec):
        check_url(spec)
        return partial(
            UrlSource,
            spec,
            name=name,
            open_timeout_s=open_timeout_s,
            read_timeout_s=read_timeout_s,
            decode=decode,
        )
    camera = partial(
        CameraSource,
        name=name,
        open_timeout_s=open_timeout_s,
        read_timeout_s=read_timeout_s,
        decode=decode,
    )
    kind, _, rest = spec.partition(":")
    if kind == "camera":
        return partial(camera, _camera_number(rest or "0", name))
    if kind == "pattern":
        return partial(PatternSource, Pattern.parse(rest), name=name)
    if (device := camera_device(spec)) is not None:
        return partial(camera, device)
    shown = redact_url(spec)
    check_file(Path(spec), name if name == shown else f"{name} ({shown})")
    return partial(FileSource, spec, name=name, decode=decode)


def _camera_number(text: str, name: str) -> int:
    if not re.fullmatch(r"\d{1,3}", text):
        raise SourceError(
            f"{name}: the camera is {redact_url(text)!r}, expected a number such as camera:1",
            permanent=True,
        )
    return int(text)
