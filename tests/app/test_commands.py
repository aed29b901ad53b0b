"""The list of subcommands says what the subcommands say."""

from __future__ import annotations

import click
import pytest

from ecolite_stream.app.cli import stream
from ecolite_stream.app.commands import SUBCOMMANDS
from tests.app.runs import Command

CONTEXT = click.Context(stream)


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_the_line_in_help_is_the_first_sentence_of_the_command(name: str) -> None:
    command = stream.get_command(CONTEXT, name)
    assert command is not None
    assert command.name == name
    assert SUBCOMMANDS[name].help == command.get_short_help_str(limit=1000)


def test_an_unknown_subcommand_is_none() -> None:
    assert stream.list_commands(CONTEXT) == sorted(SUBCOMMANDS)
    assert stream.get_command(CONTEXT, "watch") is None


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("event", "there is no command 'event'; did you mean 'events'?"),
        ("walk.avi", "there is no command 'walk.avi'; name what to watch after --source"),
        ("rtsp://me:hush@10.0.0.7/live", "there is no command 'rtsp://10.0.0.7/live'; name what"),
    ],
)
def test_a_word_that_is_no_subcommand(ecolite: Command, word: str, said: str) -> None:
    run = ecolite(word)
    assert (run.exit_code, run.out) == (2, "")
    assert said in run.err and "hush" not in run.err
