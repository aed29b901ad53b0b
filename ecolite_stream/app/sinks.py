"""The list of sinks. Options and configuration sections follow from it."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.datasets import collect_kind as collect
from ecolite_stream.recording import kind as record
from ecolite_stream.sinks import alerts, clips, json_file, mqtt, stdout, video, webhook
from ecolite_stream.sinks.kind import SinkKind
from ecolite_stream.store import kind as store

SINKS: Sequence[SinkKind[Any]] = (
    stdout.SINK,  # the first: when its reader closes, the run stops
    json_file.SINK,
    webhook.SINK,
    mqtt.SINK,
    clips.SINK,
    video.SINK,
    store.SINK,
    alerts.SINK,
    collect.SINK,
    record.SINK,
)

RunConfig: type[StreamConfig] = dataclasses.make_dataclass(
    "RunConfig",
    [
        (kind.section, kind.config, dataclasses.field(default_factory=kind.config))
        for kind in SINKS
        if kind.section is not None
    ],
    bases=(StreamConfig,),
    frozen=True,
    namespace={
        "__doc__": "`StreamConfig`, with a field for the section of each kind of sink.",
        "__module__": __name__,
    },
)

SINK_KEYS = {kind.section: (kind.section, kind.key) for kind in SINKS if kind.section is not None}
"""(section, key) that an option sets, by the option's name."""

Function = TypeVar("Function", bound=Callable[..., Any])


def sink_options(function: Function) -> Function:
    """Add the option of each kind of sink to a click command."""
    for kind in reversed(SINKS):
        function = _option(kind)(function)
    return function


def option_name(kind: SinkKind[Any]) -> str:
    """The option of a kind of sink, such as `--json-file`."""
    return f"--{kind.name.replace('_', '-')}"


def _option(kind: SinkKind[Any]) -> Callable[[Function], Function]:
    name = option_name(kind)
    hint = typing.get_type_hints(kind.config)[kind.key]
    if hint is bool:
        return click.option(name, is_flag=True, default=None, help=kind.help)
    is_path = Path in (typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,))
    value = click.Path(path_type=Path) if is_path else str
    return click.option(name, type=value, metavar=kind.metavar, help=kind.help)
