"""`ecolite-stream alerts test`: send a message by each rule."""

from __future__ import annotations

import time
from pathlib import Path

import click

from ecolite_stream.app.page_files import with_page_files
from ecolite_stream.app.sinks import RunConfig
from ecolite_stream.config.includes import load_stream_config
from ecolite_stream.errors import ConfigError, EcoliteError, one_line
from ecolite_stream.sinks.alerts import AlertsConfig, message_of, targets_of
from ecolite_stream.sinks.mqtt import MqttConfig
from ecolite_stream.types import Event, iso_utc


@click.group()
def alerts() -> None:
    """Test alert rules."""


@alerts.command()
@click.argument("names", metavar="[RULE]...", nargs=-1)
@click.option(
    "--config", type=click.Path(path_type=Path), required=True, help="YAML file with the rules."
)
def test(names: tuple[str, ...], config: Path) -> None:
    """Send a test message by each RULE, or by all; filters do not count."""
    settings = with_page_files(load_stream_config(config, RunConfig), config)
    book = settings.section(AlertsConfig).book(settings.web.alerts_file)
    rules = [state.rule for state in book.states()]
    known = [rule.name for rule in rules]
    for name in names:
        if name not in known:
            raise ConfigError(f"there is no rule {name!r}; known: {', '.join(known) or 'none'}")
    if not rules:
        raise ConfigError(f"{config} has no alert rules; add alerts: {{rules: [...]}}")
    failed = 0
    now = iso_utc(round(1000 * time.time()))
    for rule in rules:
        if names and rule.name not in names:
            continue
        label = rule.labels[0] if rule.labels else "test"
        stream = rule.streams[0] if rule.streams else "test"
        event = Event(f"test@{now}", stream, label, 0.0, None, 1.0, 1.0, "start", started_at=now)
        message = {**message_of(rule, event), "test": True}
        for target, send in targets_of(rule, settings.section(MqttConfig)):
            try:
                send(message)
                click.echo(f"{rule.name}: sent to {target}")
            except OSError as error:
                failed += 1
                click.echo(f"{rule.name}: {target}: {one_line(error)}", err=True)
    if failed:
        raise EcoliteError(f"{failed} messages were not sent; see the errors above")
