"""A moving test picture, for trials without a camera."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, fields

from ecolite_stream.config.redact import redact_url
from ecolite_stream.errors import SourceError
from ecolite_stream.sources.container import ContainerSource, Input, open_container
from ecolite_stream.sources.failures import FILE_PROBLEMS


@dataclass(frozen=True)
class Pattern:
    """Settings of the test picture.

    Attributes:
        seconds: length in seconds; None for endless.
        fps: frames per second.
        size: width x height in pixels.
    """

    seconds: float | None = None
    fps: float = 25.0
    size: tuple[int, int] = (320, 240)

    def __post_init__(self) -> None:
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            raise SourceError(f"pattern: seconds is {self.seconds:g}, expected more than 0")
        if not 0 < self.fps <= 1000:
            raise SourceError(f"pattern: fps is {self.fps:g}, expected more than 0, up to 1000")
        if not all(2 <= side <= 8192 for side in self.size):
            raise SourceError(f"pattern: size is {self.size}, expected 2 to 8192 pixels a side")

    @classmethod
    def parse(cls, options: str) -> Pattern:
        """Read "seconds=10,fps=25,size=320x240"; each of them may be left out.

        Raises:
            SourceError: an unknown option, or a value that is none.
        """
        known = [field.name for field in fields(cls)]
        values: dict[str, float | tuple[int, int]] = {}
        for option in filter(None, options.split(",")):
            key, _, value = option.partition("=")
            if key not in known:
                shown = redact_url(option).partition("=")[0]
                raise SourceError(f"pattern: no option {shown!r}; choose from {', '.join(known)}")
            values[key] = _size(value) if key == "size" else _number(key, value)
        return cls(**values)  # type: ignore[arg-type]

    @property
    def filter(self) -> str:
        """The pattern in FFmpeg's words."""
        width, height = self.size
        duration = "" if self.seconds is None else f":duration={self.seconds}"
        return f"testsrc=size={width}x{height}:rate={self.fps}{duration}"


class PatternSource(ContainerSource):
    """FFmpeg's test picture with a running counter; times are those of a file."""

    def __init__(
        self,
        pattern: Pattern | None = None,
        *,
        name: str = "pattern",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        pattern: what to show; endless, 320x240 at 25 frames per second if None.
        name: as people are shown it.
        clock: says when frames arrive; seconds, monotonic.
        """
        what = Input((pattern or Pattern()).filter, name, FILE_PROBLEMS, format="lavfi")
        super().__init__(open_container(what), what, live=False, clock=clock)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not match:
        raise SourceError(
            f"pattern: size is {redact_url(text)!r}, expected WIDTHxHEIGHT such as 320x240"
        )
    return int(match[1]), int(match[2])


def _number(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SourceError(f"pattern: {key} is {redact_url(text)!r}, expected a number") from None
