"""Configuration: frozen dataclasses, and a strict YAML reader that names the nearest known key."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ecolite_stream.errors import ConfigError
from ecolite_stream.memory import POLICIES

Config = TypeVar("Config")

ENGINES = ("auto", "openvino", "mindspore")
ON_GAP = ("keep", "reset")


@dataclass(frozen=True)
class MemoryConfig:
    """What a stream remembers.

    Attributes:
        policy: `window`, `paper` or `pyramid`.
        num_segments: N; None takes the bundle's, anything else must equal it.
        span_s: seconds that the window spans; None takes the bundle's clip length.
        on_gap: what happens to the memory when no frame came for `gap_s`: `keep` or `reset`.
        gap_s: seconds of stream time without a frame that count as a gap.
    """

    policy: str = "window"
    num_segments: int | None = None
    span_s: float | None = None
    on_gap: str = "keep"
    gap_s: float = 5.0

    def __post_init__(self) -> None:
        _one_of("policy", self.policy, POLICIES)
        _one_of("on_gap", self.on_gap, ON_GAP)
        _above_zero("gap_s", self.gap_s)
        if self.span_s is not None:
            _above_zero("span_s", self.span_s)


@dataclass(frozen=True)
class StreamConfig:
    """Everything `ecolite-stream` can be told.

    Attributes:
        source: what to watch: `camera`, `camera:1`, a path, a URL, `pattern`; several are
            several streams.
        bundle: folder of the model; None is the embedded one.
        engine: `auto`, `openvino` or `mindspore`.
        memory: what each stream remembers.
        every_s: seconds of stream time between two predictions.
        smoothing: share of the running average in each answer, 0 to below 1; None is 0.5 for the
            paper's memory, as its Algorithm 1 has it, and 0 for the others.
        top: how many (label, score) pairs a prediction lists.
        realtime: play files at their own speed instead of as fast as they decode.
        json: JSON Lines on stdout instead of text.
    """

    source: tuple[str, ...] = ()
    bundle: Path | None = None
    engine: str = "auto"
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    every_s: float = 0.5
    smoothing: float | None = None
    top: int = 5
    realtime: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        _one_of("engine", self.engine, ENGINES)
        _above_zero("every_s", self.every_s)
        if self.smoothing is not None and not 0 <= self.smoothing < 1:
            raise ConfigError(f"smoothing is {self.smoothing}; expected 0 to below 1")
        if self.top < 1:
            raise ConfigError(f"top is {self.top}; expected at least 1")


def load_config(path: Path, kind: type[Config]) -> Config:
    """Read a YAML file into a configuration dataclass.

    Raises:
        ConfigError: the file cannot be read, is not YAML, has an unknown key (the nearest known
            one is named), or a value of the wrong kind or out of its range.
    """
    return make_config(kind, read_yaml(path), str(path))


def read_yaml(path: Path) -> Mapping[str, Any]:
    """The mapping that a YAML file holds; an empty file is an empty one."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"configuration file {path} does not exist") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"configuration file {path} cannot be read: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys and values, got {type(content).__name__}")
    return content


def make_config(kind: type[Config], values: Mapping[str, Any], where: str) -> Config:
    """Build a configuration dataclass, nested ones included, from plain containers.

    Raises:
        ConfigError: an unknown or missing key, or a value of the wrong kind or out of its range;
            the message begins with `where`.
    """
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    names = [field.name for field in fields]
    for key in values:
        if key not in names:
            raise ConfigError(f"{where}: unknown key {key!r}{_nearest_hint(str(key), names)}")
    needed = [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING]
    if missing := [name for name in needed if name not in values]:
        raise ConfigError(f"{where}: missing key {', '.join(missing)}")
    hints = typing.get_type_hints(kind)
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
        return _convert(value, next(a for a in args if a is not type(None)), where)
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(_convert(item, args[0], where) for item in items)
    if dataclasses.is_dataclass(hint) or origin is Mapping:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: expected keys and values, got {value!r}")
        if origin is Mapping:
            return {key: _convert(item, args[1], f"{where}: {key}") for key, item in value.items()}
        return make_config(typing.cast(type, hint), value, where)
    return _convert_plain(value, hint, where)


def _convert_plain(value: Any, hint: Any, where: str) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is Path and isinstance(value, str):
        return Path(value).expanduser()
    if hint is float and (is_number or _is_yaml_exponent(value)):
        return float(value)
    if hint in (str, bool, int) and type(value) is hint:
        return value
    names = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}
    raise ConfigError(f"{where}: expected {names.get(hint, 'a path')}, got {value!r}")


def _is_yaml_exponent(value: Any) -> bool:
    """Whether it is a number like 1e-3, which YAML reads as text for want of a point."""
    return isinstance(value, str) and bool(re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value))


def _nearest_hint(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name} is {value!r}; expected {', '.join(allowed)}")


def _above_zero(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ConfigError(f"{name} is {value}; expected a number above 0")
