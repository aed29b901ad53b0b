"""Cameras of this computer."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import av
from av.error import FFmpegError

from ecolite_stream.config.choices import SOFTWARE
from ecolite_stream.errors import SourceError
from ecolite_stream.sources.base import WAIT_S
from ecolite_stream.sources.container import ContainerSource, Input, open_container
from ecolite_stream.sources.failures import camera_problems, source_error


def _dshow_location(number: int) -> str:
    """Windows knows its cameras by name only."""
    cameras = [d.name for d in av.enumerate_input_devices("dshow") if "video" in d.media_types]
    if number >= len(cameras):
        raise FileNotFoundError(errno.ENOENT, f"{len(cameras)} cameras")
    return f"video={cameras[number]}"


@dataclass(frozen=True)
class CameraSystem:
    """FFmpeg's interface to the cameras of an operating system.

    Attributes:
        format: FFmpeg's name of the interface.
        locate: returns FFmpeg's location of a camera number.
        options: FFmpeg's options.
        devices: folder and glob pattern of camera devices, if they are files.
    """

    format: str
    locate: Callable[[int], str]
    options: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[Path, str] | None = None


CAMERA_SYSTEMS: Mapping[str, CameraSystem] = {
    "linux": CameraSystem("v4l2", "/dev/video{}".format, devices=(Path("/dev"), "video*")),
    # avfoundation has a default rate that many cameras refuse.
    "darwin": CameraSystem("avfoundation", str, options={"framerate": "30"}),
    "win32": CameraSystem("dshow", _dshow_location),
}
"""Keyed by `sys.platform`."""


_NUMBERED = re.compile(r"/dev/video(\d+)")
_BY_ID = re.compile(r"/dev/v4l/.+")
_IN_DEV = re.compile(r"/dev/[^/]+")
_NO_CAMERAS = frozenset({"/dev/stdin", "/dev/fd", "/dev/shm"})
_VIDEO4LINUX = 81  # the major number of its devices


def camera_device(spec: str) -> int | str | None:
    """The number or path of the camera at a path; None if it is no camera.

    Cameras are `/dev/videoN`, paths in `/dev/v4l`, links to either, and missing paths in `/dev`: a
    udev link comes and goes with its camera.
    """
    if numbered := _NUMBERED.fullmatch(spec):
        return int(numbered[1])
    if _BY_ID.fullmatch(spec):
        return spec
    try:
        state = Path(spec).stat()
    except (FileNotFoundError, NotADirectoryError):
        leads_to = os.path.realpath(spec)  # which may be missing, too
        named = _IN_DEV.fullmatch(spec) and spec not in _NO_CAMERAS
        return spec if named or _NUMBERED.fullmatch(leads_to) else None
    except (OSError, ValueError):
        return None
    is_video = stat.S_ISCHR(state.st_mode) and os.major(state.st_rdev) == _VIDEO4LINUX
    return spec if is_video else None


class CameraSource(ContainerSource):
    """A camera; frames have the driver's times, see `LiveTimes`."""

    def __init__(
        self,
        number: int | str = 0,
        *,
        name: str | None = None,
        system: CameraSystem | None = None,
        clock: Callable[[], float] = time.monotonic,
        open_timeout_s: float = WAIT_S,
        read_timeout_s: float = WAIT_S,
        decode: str = SOFTWARE,
    ) -> None:
        """Args:
        number: 0 for the first camera; or the path of its device.
        name: name for messages; None takes "camera:NUMBER".
        system: interface to the camera; None takes this operating system's.
        clock: seconds, monotonic.
        open_timeout_s: most seconds to open it.
        read_timeout_s: most seconds to wait for a picture.
        decode: device that decodes it, one of `DECODERS`.

        Raises:
            SourceError: no such camera, in use, or not allowed.
        """
        if name is None:
            name = number if isinstance(number, str) else f"camera:{number}"
        system = _this_system(name) if system is None else system
        problems = camera_problems(_choice(system))
        try:
            location = number if isinstance(number, str) else system.locate(number)
        except (FFmpegError, OSError) as error:
            raise source_error(name, error, problems) from error
        what = Input(
            location,
            name,
            problems,
            format=system.format,
            options=system.options,
            open_timeout_s=open_timeout_s,
            read_timeout_s=read_timeout_s,
            decode=decode,
        )
        super().__init__(open_container(what), what, live=True, clock=clock)


def _this_system(name: str) -> CameraSystem:
    try:
        return CAMERA_SYSTEMS[sys.platform]
    except KeyError:
        raise SourceError(
            f"{name}: no way to read cameras on {sys.platform}, expected one of "
            f"{', '.join(CAMERA_SYSTEMS)}; serve it as a network stream and give its URL",
            permanent=True,
        ) from None


def _choice(system: CameraSystem) -> str:
    """Advice for a camera that cannot be opened."""
    if system.devices is None:
        return "choose another with camera:NUMBER"
    folder, pattern = system.devices
    devices = sorted(str(device) for device in folder.glob(pattern))
    if not devices:
        return f"plug one in (there is no {folder / pattern})"
    return f"choose another with camera:NUMBER (there are {', '.join(devices)})"
