"""Decode video on a device: NVDEC (`cuda`), VA-API and others, where there is one.

No such device was at hand: decoding in software in its place was tried, decoding on one was not.
"""

from __future__ import annotations

import functools
import logging

from av import VideoFrame
from av.codec import Codec
from av.codec.context import CodecContext
from av.codec.hwaccel import HWAccel
from av.error import FFmpegError
from av.video.stream import VideoStream

from ecolite_stream.config.choices import AUTO, SOFTWARE

_log = logging.getLogger(__name__)

_TRIED_WITH = "h264"
"""The codec that a device is tried with: every device decodes it."""

_PLANAR = {
    "nv12": "yuv420p",
    "nv16": "yuv422p",
    "p010le": "yuv420p10le",
    "p012le": "yuv420p12le",
    "p210le": "yuv422p10le",
}
"""Usual formats of devices, and the format in which software decodes the same video."""


def acceleration(decode: str) -> HWAccel | None:
    """What to open a container with; None decodes in software.

    Args:
        decode: one of `DECODERS`.
    """
    device = None if decode == SOFTWARE else _device(decode)
    return None if device is None else HWAccel(device)


@functools.cache
def _device(decode: str) -> str | None:
    """The device that can be opened; None where none can, which is logged once a process."""
    reasons = []
    for kind in _devices_of_ffmpeg() if decode == AUTO else [decode]:
        reason = _why_not(kind)
        if reason is None:
            _log.info("decode %s: video is decoded with %s", decode, kind)
            return kind
        reasons.append(f"{kind}: {reason}")
    _log.warning(
        "decode %s: no device can be opened (%s); video is decoded in software",
        decode,
        "; ".join(reasons) or "this FFmpeg has none",
    )
    return None


def _devices_of_ffmpeg() -> list[str]:
    """Kinds of devices that this FFmpeg's own decoder can use, in its order."""
    configs = Codec(_TRIED_WITH, "r").hardware_configs or ()
    return [config.device_type.name for config in configs if config.is_supported]


def _why_not(kind: str) -> str | None:
    """Why a device cannot be opened; None if it can."""
    try:
        context = CodecContext.create(_TRIED_WITH, "r", hwaccel=HWAccel(kind))
    except FFmpegError as error:
        return str(error.strerror)
    return None if context.is_hwaccel else "not in this build of FFmpeg"


class DecodedBy:
    """Finds out which pictures of a stream a device decoded.

    Args:
        name: the source, for the message.
        stream: the video in it.
        accelerated: whether its container was opened with `acceleration`.
    """

    def __init__(self, name: str, stream: VideoStream, accelerated: bool) -> None:
        self._name = name
        self._context = stream.codec_context
        self._accelerated = accelerated
        self._has_logged = False

    def is_device(self, picture: VideoFrame) -> bool:
        """Whether a device decoded this picture; the first that it did not is logged.

        The decoder has the device's own format then; the picture has the format that it was
        downloaded in. FFmpeg itself falls back for codecs and profiles that a device lacks.
        """
        if not self._accelerated:
            return False
        if self._context.is_hwaccel and picture.format.name != self._context.pix_fmt:
            return True
        if not self._has_logged:
            self._has_logged = True
            _log.warning(
                "%s: the device does not decode its video (%s %s); it is decoded in software",
                self._name,
                self._context.name,
                picture.format.name,
            )
        return False


def planar(picture: VideoFrame) -> VideoFrame:
    """A picture of a device in the format that software decodes it in: the same values.

    FFmpeg converts the two formats to BGR in different ways.
    """
    name = _PLANAR.get(picture.format.name)
    return picture if name is None else picture.reformat(format=name, threads=1)
