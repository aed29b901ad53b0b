"""The subcommands of `ecolite-stream`, each imported when it is run."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import NamedTuple

import click

from ecolite_stream.config.redact import redact_url


class Subcommand(NamedTuple):
    """Where a subcommand is, and its line in `--help`, the first sentence of its own help."""

    module: str
    name: str
    help: str


SUBCOMMANDS = {
    "alerts": Subcommand("alerts_command", "alerts", "Test alert rules."),
    "archive": Subcommand(
        "archive_command",
        "archive",
        "Recognize all recordings in files, folders, globs and lists (.txt, one path per line).",
    ),
    "check": Subcommand(
        "check_source",
        "check",
        "Check within ten seconds whether a source is usable, and list what to change.",
    ),
    "collect": Subcommand(
        "collect_command",
        "collect",
        "Collect labelled clips from a source or from events, or list those of a folder.",
    ),
    "events": Subcommand("events_command", "events", "List stored events, the newest first."),
    "fleet": Subcommand(
        "fleet_command", "fleet", "Watch cameras on many machines; run this on each of them."
    ),
    "models": Subcommand(
        "models_command", "models", "List versions of the model; the current one has a star."
    ),
    "replay": Subcommand(
        "replay_command", "replay", "Repeat the run recorded in FOLDER and print its JSON Lines."
    ),
}


class LazyGroup(click.Group):
    """A group of `SUBCOMMANDS`. Its `--help` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, sorted."""
        return sorted({*SUBCOMMANDS, *self.commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of that name, imported now; None if there is none."""
        found = SUBCOMMANDS.get(cmd_name)
        if found is None:
            return super().get_command(ctx, cmd_name)
        module = import_module(f"ecolite_stream.app.{found.module}")
        command: click.Command = getattr(module, found.name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The subcommand that is named.

        Raises:
            click.UsageError: there is none of that name; it says which was meant.
        """
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            advice = f"did you mean {near[0]!r}?" if near else "name what to watch after --source"
            raise click.UsageError(f"there is no command {redact_url(name)!r}; {advice}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write their lines in `--help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.help) for name, one in SUBCOMMANDS.items()])
