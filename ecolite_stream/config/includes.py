"""Included configuration files, which list cameras."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from ecolite_stream.config.logins import with_logins
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.config.source_names import NamedSource
from ecolite_stream.config.strict import load_config
from ecolite_stream.errors import ConfigError


@dataclass(frozen=True)
class CameraFile:
    """The keys of an included file.

    Attributes:
        source: what to watch, as in `StreamConfig`.
        include: more such files.
    """

    source: tuple[str | NamedSource, ...] = ()
    include: tuple[str, ...] = ()


def load_stream_config(path: Path, kind: type[StreamConfig] = StreamConfig) -> StreamConfig:
    """Read a configuration and its included files: its own sources first, then theirs, in order.

    Sources get the user and password that `logins` has for their names.

    An `include` is a path relative to its file and may hold `*`, `?` and `**`; matches are sorted
    by name.

    Args:
        path: the file.
        kind: `app.sinks.RunConfig` if the file may have sections of sinks.

    Raises:
        ConfigError: a file is unreadable, invalid or included twice, or a pattern matches no file.
            The message names the file.
    """
    config = load_config(path, kind)
    found = _included(config.include, path, [path.resolve()])
    try:
        sources = with_logins(config.source + found, config.logins)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return dataclasses.replace(config, source=sources)


def _included(
    patterns: tuple[str, ...], path: Path, seen: list[Path]
) -> tuple[str | NamedSource, ...]:
    """The sources of all files that a file includes.

    Args:
        patterns: its `include`.
        path: the file.
        seen: every file read so far; extended.
    """
    sources: list[str | NamedSource] = []
    for pattern in patterns:
        for file in _files(pattern, path):
            if file.resolve() in seen:
                raise ConfigError(
                    f"{path}: includes {file}, which has been read already; include every file once"
                )
            seen.append(file.resolve())
            cameras = load_config(file, CameraFile)
            sources += [*cameras.source, *_included(cameras.include, file, seen)]
    return tuple(sources)


def _files(pattern: str, path: Path) -> list[Path]:
    folder, relative = path.parent, Path(pattern).expanduser()
    if relative.is_absolute():
        folder, relative = Path(relative.anchor), relative.relative_to(relative.anchor)
    try:
        files = sorted(file for file in folder.glob(str(relative)) if file.is_file())
    except (ValueError, NotImplementedError, IndexError) as error:
        raise ConfigError(f"{path}: include {pattern!r} is no path: {error}") from error
    if not files:
        raise ConfigError(f"{path}: include {pattern!r} finds no file in {folder}")
    return files
