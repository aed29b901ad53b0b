"""Read the configuration of a training: one YAML file; the command line overrides any key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ecolite_stream.config.bounded_yaml import parse_yaml
from ecolite_stream.config.strict import make_config, read_yaml
from ecolite_stream.errors import ConfigError
from trainer.config.published_keys import own_key, own_values
from trainer.config.schema import TrainConfig

AUTO_FRAMING = "auto"


def load_train_config(
    path: Path | None,
    overrides: Sequence[str] = (),
    base: tuple[str, Mapping[str, Any]] | None = None,
) -> TrainConfig:
    """Read a YAML file (None: the defaults), overridden by `--key value` pairs.

    `base` replaces the file: (name, content).

    A dot reaches nested keys: `--data.split none`. Values are YAML.

    Raises:
        ConfigError: as `config.strict.load_config`; or a key is given twice on the command
            line, by itself or within its section.
    """
    name, in_file = (str(path), read_yaml(path)) if path else base or ("", {})
    where = " and ".join(filter(None, (name, "command line" if overrides or not name else "")))
    values: dict[str, Any] = {}
    listed = [(own_key(str(key)), value) for key, value in in_file.items()]
    pairs = [(own_key(key), value) for key, value in _pairs(overrides)]
    _refuse_doubled(_inner_keys(listed))
    _refuse_doubled(key for key, _ in pairs)
    listed.sort(key=lambda pair: "." in pair[0])  # sections first, then single keys of theirs
    for key, value in [*listed, *pairs]:
        _set(values, key, value)
    return make_config(TrainConfig, _with_auto_framing(own_values(values, where)), where)


def _with_auto_framing(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """`preprocessing.framing: auto` as the key that it stands for."""
    how = values.get("preprocessing")
    if not isinstance(how, Mapping) or how.get("framing") != AUTO_FRAMING:
        return values
    rest = {key: value for key, value in how.items() if key != "framing"}
    return {**values, "preprocessing": rest, "choose_framing": True}


def _pairs(words: Sequence[str]) -> list[tuple[str, Any]]:
    pairs = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise ConfigError(f"expected --key value, got {word!r}")
        key, equals, value = word[2:].partition("=")
        if not equals:
            if not rest:
                raise ConfigError(f"--{key} has no value")
            value = rest.pop(0)
        try:
            pairs.append((key, parse_yaml(value)))
        except yaml.YAMLError as error:
            why = f": {error.problem}" if isinstance(error, yaml.MarkedYAMLError) else ""
            raise ConfigError(f"--{key}: {value!r} is not a YAML value{why}") from error
    return pairs


def _inner_keys(pairs: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """The keys that pairs set; for a whole section, its keys."""
    for key, value in pairs:
        if isinstance(value, Mapping) and value:
            yield from (f"{key}.{inner}" for inner in value)
        else:
            yield key


def _refuse_doubled(keys: Iterable[str]) -> None:
    seen: list[str] = []
    for key in keys:
        for other in seen:
            if key == other:
                raise ConfigError(f"--{key} is given twice; give it once")
            if key.startswith(f"{other}.") or other.startswith(f"{key}."):
                section, inner = sorted((key, other), key=len)
                raise ConfigError(f"--{inner} and --{section} both set {inner}; give one of them")
        seen.append(key)


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    head, dot, tail = key.partition(".")
    if not dot:
        values[head] = value
        return
    inner = values.get(head, {})
    if not isinstance(inner, Mapping):
        raise ConfigError(f"--{key}: {head} holds no keys")
    values[head] = dict(inner)
    _set(values[head], tail, value)
