"""Options of `ecolite-stream` and `archive` that decide which model recognizes, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from ecolite_stream.config.choices import AUTO, POLICIES, PRECISIONS
from ecolite_stream.config.schema import ENGINES, StreamConfig

Config = TypeVar("Config", bound=StreamConfig)
Command = TypeVar("Command", bound=Callable[..., Any])

_KEYS = {"every": "every_s"}
_SECTIONS = {"memory": ("memory", "policy"), "span": ("memory", "span_s")}


def recognition_options(command: Command) -> Command:
    """Add --bundle, --engine, --device and the settings of recognition to a command."""
    options = (
        click.option(
            "--bundle",
            type=click.Path(path_type=Path),
            help="Model folder. [current version]",
        ),
        click.option(
            "--engine",
            type=click.Choice(ENGINES),
            help="Inference engine. [auto: the best installed]",
        ),
        click.option("--device", help="Compute on cpu, ascend:0, gpu:0, cuda:0, ... [cpu]"),
        click.option(
            "--precision",
            type=click.Choice((AUTO, *PRECISIONS)),
            help="Inference precision. [engine default]",
        ),
        click.option(
            "--reuse/--no-reuse",
            default=None,
            help="Keep activations of the 3D net from label to label. [no]",
        ),
        click.option("--memory", type=click.Choice(POLICIES), help="Memory policy. [window]"),
        click.option(
            "--span", type=float, help="Seconds the window spans. [the bundle's clip length]"
        ),
        click.option("--every", type=float, help="Seconds between two labels. [0.5]"),
        click.option("--smoothing", type=float, help="Weight of earlier predictions, 0 to 1."),
        click.option("--top", type=int, help="Number of labels to list. [5]"),
    )

    for option in reversed(options):
        command = option(command)
    return command


def with_options(
    config: Config,
    options: Mapping[str, Any],
    sections: Mapping[str, tuple[str, str]] | None = None,
) -> Config:
    """A configuration, overridden by the given options; None and () are not given.

    Args:
        config: the settings.
        options: their values, by name: those of `recognition_options`, and keys of the settings.
        sections: (section, key) of each further option that sets a key of a section.
    """
    given = {
        _KEYS.get(name, name): value for name, value in options.items() if value not in (None, ())
    }
    changes: dict[str, dict[str, Any]] = {}
    for option, (section, key) in {**_SECTIONS, **(sections or {})}.items():
        if option in given:
            changes.setdefault(section, {})[key] = given.pop(option)
    for section, values in changes.items():
        given[section] = dataclasses.replace(getattr(config, section), **values)
    return dataclasses.replace(config, **given)
