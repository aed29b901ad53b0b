"""Strict configuration: read YAML into frozen dataclasses.

Unknown, missing and repeated keys and values of the wrong type are errors; an error of an unknown
key names the nearest known one. The dataclasses use the range checks in `__post_init__`.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import re
import stat
import time
import types
import typing
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ecolite_stream.config.bounded_yaml import MAX_BYTES, parse_yaml
from ecolite_stream.errors import ConfigError

Config = TypeVar("Config")

MOST_WRITTEN = 200_000
"""Characters of a file that this program writes: fewer values than YAML may have, soon read."""
PIPE_WAIT_S = 5.0
"""Seconds to wait for a configuration that another program writes into a pipe."""


def load_config(path: Path, kind: type[Config]) -> Config:
    """Read a YAML file into a configuration dataclass.

    Raises:
        ConfigError: the file is unreadable or not YAML, a key is unknown, or a value has the wrong
            type or is out of range.
    """
    return make_config(kind, read_yaml(path), str(path))


def read_yaml(path: Path) -> Mapping[str, Any]:
    """Read the mapping in a YAML file; an empty file is an empty mapping."""
    try:
        content = parse_yaml(_read_in_time(path).decode())
    except FileNotFoundError as error:
        raise ConfigError(f"configuration file {path} does not exist") from error
    except yaml.MarkedYAMLError as error:  # its full text repeats the line with its passwords
        where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(
            f"configuration file {path} cannot be read{where}: {error.problem}"
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise ConfigError(f"configuration file {path} cannot be read: {why}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys and values, got {type(content).__name__}")
    return content


def check_readable(text: str, path: Path) -> None:
    """Check a YAML text that this program is about to write: `load_config` must take it.

    Raises:
        ConfigError: it is too large.
    """
    if len(text) > MOST_WRITTEN:
        raise ConfigError(
            f"{path} would be too large, over {MOST_WRITTEN} characters; remove some of it first"
        )


def _read_in_time(path: Path) -> bytes:
    """Up to `MAX_BYTES` + 1 bytes of a file; of a pipe, what is written within `PIPE_WAIT_S`.

    Raises:
        OSError: it cannot be read, or is a pipe that stays open or empty.
    """
    if not stat.S_ISFIFO(path.stat().st_mode):
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    received, deadline_s = b"", time.monotonic() + PIPE_WAIT_S
    # Without O_NONBLOCK, opening a pipe that nobody writes to never returns.
    pipe = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        while len(received) <= MAX_BYTES:
            try:
                piece = os.read(pipe, MAX_BYTES + 1 - len(received))
            except BlockingIOError:
                piece = b""
            else:
                if not piece and received:
                    return received
            if not piece and time.monotonic() > deadline_s:
                raise OSError(f"the pipe sent no whole text within {PIPE_WAIT_S:g} s; name a file")
            received += piece
            time.sleep(0 if piece else 0.01)
        return received
    finally:
        os.close(pipe)


def make_config(kind: type[Config], values: Mapping[str, Any], where: str) -> Config:
    """Build a configuration dataclass, nested ones included, from plain containers.

    Raises:
        ConfigError: a key is unknown or missing, or a value has the wrong type or is out of range;
            the message begins with `where`.
    """
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    names = [field.name for field in fields]
    for key in values:
        if key not in names:
            raise ConfigError(f"{where}: unknown key {_shown(key)}{_nearest_hint(str(key), names)}")
    needed = [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING]
    if missing := [name for name in needed if name not in values]:
        raise ConfigError(f"{where}: missing key {', '.join(missing)}")
    hints = typing.get_type_hints(kind)
    for field in fields:  # never print a secret, even of a wrong type
        if not field.repr and not isinstance(values.get(field.name), str | None):
            raise ConfigError(f"{where}: {field.name}: expected text; write it in quotes")
    converted = {
        key: _convert(value, hints[key], f"{where}: {key}") for key, value in values.items()
    }
    try:
        return kind(**converted)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _convert(value: Any, hint: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return _convert(value, _fitting(args, value), where)
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(_convert(item, args[0], where) for item in items)
    if dataclasses.is_dataclass(hint) or origin is Mapping:
        if not isinstance(value, Mapping):
            shown = "a secret" if _holds_secrets(hint, *args) else _shown(value)
            raise ConfigError(f"{where}: expected keys and values, got {shown}")
        if origin is Mapping:
            return {key: _convert(item, args[1], f"{where}: {key}") for key, item in value.items()}
        return make_config(typing.cast(type, hint), value, where)
    return _convert_plain(value, hint, where)


def _holds_secrets(*hints: Any) -> bool:
    """Whether these types include a dataclass whose fields are all secret."""
    kinds = [hint for hint in hints if dataclasses.is_dataclass(hint)]
    return any(not any(field.repr for field in dataclasses.fields(kind)) for kind in kinds)


def _fitting(hints: tuple[Any, ...], value: Any) -> Any:
    """The dataclass among the types for a mapping, else the first type."""
    kinds = [hint for hint in hints if hint is not type(None)]
    wants_keys = isinstance(value, Mapping)
    return next((k for k in kinds if dataclasses.is_dataclass(k) == wants_keys), kinds[0])


def _convert_plain(value: Any, hint: Any, where: str) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is Path and isinstance(value, str):
        return Path(value).expanduser()
    if hint is float and (is_number or _is_yaml_exponent(value)):
        return float(value)
    if hint in (str, bool, int) and type(value) is hint:
        return value
    names = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}
    raise ConfigError(f"{where}: expected {names.get(hint, 'a path')}, got {_shown(value)}")


def _shown(value: Any) -> str:
    """A wrong value for a message; never a URL, which may hold a password."""
    if isinstance(value, Mapping):
        return "keys and values"
    if isinstance(value, list):
        return "a list"
    return "a URL" if isinstance(value, str) and "://" in value else repr(value)


def _is_yaml_exponent(value: Any) -> bool:
    """Whether it is a number like 1e-3: YAML without a decimal point reads it as text."""
    return isinstance(value, str) and bool(re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value))


def _nearest_hint(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def check_one_of(name: str, value: object, allowed: Collection[object]) -> None:
    """Raise a ConfigError unless the value is allowed."""
    if value not in allowed:
        raise ConfigError(f"{name} is {value!r}; expected {', '.join(map(str, allowed))}")


def check_above_zero(name: str, value: float) -> None:
    """Raise a ConfigError unless the value is finite and above 0."""
    if not 0 < value < math.inf:
        raise ConfigError(f"{name} is {value}; expected a number above 0")


def check_at_least(name: str, value: float, least: float) -> None:
    """Raise a ConfigError unless the value is finite and at least `least`."""
    if not least <= value < math.inf:
        raise ConfigError(f"{name} is {value}; expected at least {least}")


def check_between(name: str, value: float, low: float, high: float) -> None:
    """Raise a ConfigError unless `low <= value <= high`."""
    if not low <= value <= high:
        raise ConfigError(f"{name} is {value}; expected {low} to {high}")
