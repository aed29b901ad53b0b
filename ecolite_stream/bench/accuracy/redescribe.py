"""Replace the description of a bundle."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from ecolite_stream.errors import BundleError
from ecolite_stream.model.bundle import Bundle, ModelSpec, write_description


def redescribe(bundle: Bundle, spec: ModelSpec, folder: Path | None = None) -> Bundle:
    """Replace the description, and so the digest, of a bundle or of a copy.

    Args:
        bundle: as read.
        spec: the new description; graphs and files stay.
        folder: for the copy, written whole or not at all; None changes the bundle itself.

    Raises:
        BundleError: the folder exists already, or cannot be written.
    """
    names = [*dict.fromkeys(graph.file for graph in bundle.graphs), *bundle.files]
    try:
        if folder is None:
            return write_description(bundle.path, spec, bundle.graphs, bundle.files)
        if folder.exists():
            raise BundleError(f"{folder} exists; name a new folder for the copy")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".bundle-") as made:
            copy = Path(made) / "bundle"
            copy.mkdir()
            for name in names:
                shutil.copyfile(bundle.file(name), copy / name)
            written = write_description(copy, spec, bundle.graphs, bundle.files)
            copy.rename(folder)
        return replace(written, path=folder)
    except OSError as error:
        raise BundleError(f"{folder or bundle.path} cannot be written: {error}") from error
