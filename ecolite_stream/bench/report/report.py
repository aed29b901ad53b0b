"""Report of a benchmark: facts and tables as text, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from ecolite_stream.bench.measuring.machine import bundle_facts, machine_facts, versions
from ecolite_stream.bench.report.charts import Chart, write_chart
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import Bundle

ANY_NAME = "backslashreplace"
"""Error handler for file names that are not UTF-8; JSON uses its own escapes."""
Cell = str | int | None


@dataclass(frozen=True)
class Table:
    """Rows under named columns; a None cell was not measured.

    Attributes:
        title: of the table.
        columns: names, with units.
        rows: as many cells each; numbers with a unit or a fraction come as text.
        notes: lines below the table.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [self.columns, *(tuple(map(_text, row)) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        left = [_is_name(column[1:]) for column in zip(*lines, strict=True)]
        body = ["  ".join(map(_padded, line, widths, left)).rstrip() for line in lines]
        body.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([self.title, *(f"  {line}" for line in body), *self.notes])


@dataclass(frozen=True)
class Scope:
    """Scope of a report.

    Attributes:
        split: evaluated part of the data.
        evaluated: how many were evaluated.
        of: how many there are.
        what: `videos`, `clips`, `engines`.
        crops: squares cut from each picture.
    """

    split: str
    evaluated: int
    of: int
    what: str
    crops: int = 1

    def __str__(self) -> str:
        return f"{self.evaluated} of {self.of} {self.what}"

    def to_json(self) -> dict[str, Any]:
        """Plain containers."""
        return dict(vars(self))


@dataclass(frozen=True)
class Report:
    """The outcome of one benchmark.

    Attributes:
        command: the benchmark's name.
        bundles: measured.
        scope: of the results.
        settings: options of the command.
        tables: as text.
        results: plain containers, for JSON.
        figures: charts, by the names of their PNG files.
    """

    command: str
    bundles: Sequence[Bundle]
    scope: Scope
    settings: dict[str, Any]
    tables: Sequence[Table]
    results: dict[str, Any]
    figures: Mapping[str, Chart] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=machine_facts)
    versions: dict[str, str | None] = field(default_factory=versions)

    def __str__(self) -> str:
        machine = "{cpu}, {cores} cores, {os}".format(**self.machine)
        installed = ", ".join(
            f"{name} {number}" for name, number in self.versions.items() if number
        )
        header = [f"machine   {machine}", f"versions  {installed}"]
        header += [f"bundle    {_bundle_line(bundle)}" for bundle in self.bundles]
        framings = dict.fromkeys(bundle.spec.preprocessing.framing for bundle in self.bundles)
        header += [
            f"crop      {self.scope.crops} a picture, {' and '.join(framings)}",
            f"split     {self.scope.split}",
            f"evaluated {self.scope}",
        ]
        return "\n\n".join(["\n".join(header), *map(str, self.tables)])

    def to_json(self) -> dict[str, Any]:
        """Plain containers."""
        return {
            "command": self.command,
            "machine": self.machine,
            "versions": self.versions,
            "bundles": [bundle_facts(bundle) for bundle in self.bundles],
            "scope": self.scope.to_json(),
            "settings": self.settings,
            **self.results,
        }

    def write(self, folder: Path) -> None:
        """Write report.json, report.md and the figures; without matplotlib no figures.

        Raises:
            ConfigError: they cannot be written.
        """
        self.write_json(folder / "report.json")
        drawn = self._write_figures(folder)
        try:
            (folder / "report.md").write_text(to_markdown(self, drawn), "utf-8", ANY_NAME)
        except OSError as error:
            raise ConfigError(f"{folder / 'report.md'} cannot be written: {error}") from error

    def _write_figures(self, folder: Path) -> list[str]:
        """Names of the written figures: all or none."""
        try:
            for name, chart in self.figures.items():
                write_chart(folder / name, chart)
        except ModuleNotFoundError as error:
            click.echo(
                f"warning: the report has no figures: they need {error.name}, which is not "
                "installed; run pip install 'ecolite-stream[plots]'",
                err=True,
            )
            return []
        return list(self.figures)

    def write_json(self, path: Path) -> None:
        """Write `to_json` to a file.

        Raises:
            ConfigError: it cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"
            path.write_text(text, "utf-8", ANY_NAME)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error}") from error


def bundle_name(bundle: Bundle) -> str:
    """A short name for tables: its folder's."""
    return bundle.path.resolve().name


def _bundle_line(bundle: Bundle) -> str:
    spec = bundle.spec
    return (
        f"{bundle_name(bundle)}: {spec.architecture}, N={spec.num_segments}, "
        f"{spec.preprocessing.image_size} px, width {spec.width:g}, {len(spec.labels)} labels, "
        f"{bundle.digest[:12]}"
    )


def _text(cell: Cell) -> str:
    return "-" if cell is None else str(cell)


def _is_name(column: Sequence[str]) -> bool:
    """Whether a column holds names, which are aligned left; numbers are aligned right."""
    return any(cell[0].isalpha() for cell in column if cell)


def _padded(cell: str, width: int, left: bool) -> str:
    return cell.ljust(width) if left else cell.rjust(width)


def to_markdown(report: Report, figures: Sequence[str]) -> str:
    """A report as Markdown, with links to figures of these names beside it."""
    facts, *_ = str(report).split("\n\n", 1)
    told = {name: value for name, value in report.settings.items() if value not in (None, "", [])}
    settings = [f"{name:9} {value}" for name, value in told.items()]
    parts = [f"# ecolite-bench {report.command}", "```\n" + "\n".join([facts, *settings]) + "\n```"]
    parts += [_table_markdown(table) for table in report.tables]
    parts += [f"![{name}]({name})" for name in figures]
    return "\n\n".join(parts) + "\n"


def _table_markdown(table: Table) -> str:
    rows = [table.columns, ("---",) * len(table.columns), *table.rows]
    lines = ["| " + " | ".join(_escaped(_text(cell)) for cell in row) + " |" for row in rows]
    return "\n\n".join([f"## {table.title}", "\n".join(lines), *table.notes])


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
