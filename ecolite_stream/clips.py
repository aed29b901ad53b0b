"""Labelled clips on disk: `<folder>/<class>/<file>`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ClipFile:
    """A file in a class folder; `name` is `<class>/<file>`."""

    path: Path
    label: str

    @property
    def name(self) -> str:
        return f"{self.label}/{self.path.name}"
