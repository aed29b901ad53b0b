"""A folder of versions: bundles by digest, which one is current, and which ones were before it.

    DIGEST/         the bundle
    DIGEST.json     its name and when it was added
    current.json    the digest of the current version, and of those before it

Without a current version the embedded bundle is the current one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ecolite_stream.app.default_store import state_folder
from ecolite_stream.config.printable import printable
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.errors import BundleError, ConfigError
from ecolite_stream.media.new_files import locked_folder, replace_text
from ecolite_stream.model import limits
from ecolite_stream.model.bundle import DESCRIPTION, Bundle, demo_bundle_path, read_bundle

FOLDER = "models"
CURRENT = "current.json"
EMBEDDED = "embedded"
MOST_BEFORE = 20
"""Versions that `back` remembers."""
MOST_VERSIONS = 1000
_SHORTEST_DIGEST = 6
_MOST_BYTES = 100_000  # of a small JSON file


@dataclass(frozen=True)
class Version:
    """A version of the model.

    Attributes:
        digest: of its bundle.
        path: folder of its bundle.
        name: of the folder it was added from; `embedded` for the embedded bundle.
        created: when it was added, UTC, ISO 8601; None for the embedded bundle.
        scores: of its bundle: what it scores, and on what.
        is_current: whether it is the current version.
    """

    digest: str
    path: Path
    name: str
    created: str | None
    scores: dict[str, Any]
    is_current: bool

    @property
    def held_out(self) -> tuple[int, int] | None:
        """(right, all) held-out clips, from the scores of `trainer.teach`; None without them."""
        found = self.scores.get("held_out")
        if not isinstance(found, dict):
            return None
        right, clips = found.get("clips_right"), found.get("clips")
        if not (type(right) is int and type(clips) is int and 0 <= right <= clips < 2**53):
            return None  # of another program
        return right, clips


def versions_folder(folder: Path | None = None) -> Path:
    """The folder of versions: the given one, or `models` in the folder for state."""
    return state_folder() / FOLDER if folder is None else folder


def list_versions(folder: Path | None = None) -> list[Version]:
    """The embedded bundle and all versions, the oldest first.

    Args:
        folder: of the versions; None takes the default.

    Raises:
        ConfigError: the folder cannot be read.
    """
    place = versions_folder(folder)
    current, _ = _history(place)
    found = [_version(place, digest, current) for digest in _digests(place)]
    found.sort(key=lambda one: (one.created or "", one.digest))
    return [_embedded(current), *found]


def add_version(path: Path | str, folder: Path | None = None) -> str:
    """Copy a bundle into the folder of versions; return its digest. One that is there stays.

    Args:
        path: the bundle.
        folder: of the versions; None takes the default.

    Raises:
        BundleError: it is no bundle, or damaged.
        ConfigError: the folder cannot be written, or is full.
    """
    bundle = read_bundle(path)
    place = versions_folder(folder)
    if bundle.digest == _embedded("").digest:
        return bundle.digest
    try:
        place.mkdir(parents=True, exist_ok=True)
        if len(_digests(place)) >= MOST_VERSIONS:
            raise ConfigError(f"{place} holds {MOST_VERSIONS} versions; remove one first")
        created = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        facts = {"name": Path(path).resolve().name, "created": created}
        if not (place / f"{bundle.digest}.json").exists():
            _write(place / f"{bundle.digest}.json", facts)
        if not (place / bundle.digest).exists():
            _copy(bundle, place)
    except OSError as error:
        raise ConfigError(
            f"{place}: cannot be written: {_why(error)}; choose another folder of models"
        ) from error
    return bundle.digest


def use_version(digest: str, folder: Path | None = None) -> str:
    """Make a version the current one; return its full digest.

    Args:
        digest: of the version, or its first characters; `embedded` for the embedded bundle.
        folder: of the versions; None takes the default.

    Raises:
        ConfigError: there is no such version, or the folder cannot be written.
        BundleError: it is damaged.
    """
    version = find_version(digest, folder)
    place = versions_folder(folder)
    _verify(version)
    wanted = "" if version.path == demo_bundle_path() else version.digest
    if wanted == _history(place)[0]:
        return version.digest
    with _changing(place):
        current, before = _history(place)
        if wanted != current:
            _write(place / CURRENT, _history_of(wanted, [*before, current]))
    return version.digest


def use_previous_version(folder: Path | None = None) -> str:
    """Make the version before the current one current again; return its digest.

    Raises:
        ConfigError: there is none, or the folder cannot be written.
        BundleError: it is damaged.
    """
    place = versions_folder(folder)
    if not _history(place)[1]:
        raise ConfigError("no version was used before the current one; see ecolite-stream models")
    with _changing(place):
        _, before = _history(place)
        version = find_version(before[-1] or EMBEDDED, folder)
        _verify(version)
        _write(place / CURRENT, _history_of(before[-1], before[:-1]))
    return version.digest


def remove_version(digest: str, folder: Path | None = None) -> str:
    """Delete a version that is not current; return its digest.

    Raises:
        ConfigError: there is no such version, it is current or embedded, or cannot be deleted.
    """
    place = versions_folder(folder)
    found = _full_digest(digest, place)
    with _changing(place):
        current, before = _history(place)
        if found == current:
            raise ConfigError(f"version {found[:12]} is the current one; use another one first")
        if found in before:
            left = [one for one in before if one != found]
            _write(place / CURRENT, _history_of(current, left))
    try:
        # Renamed first: a reader sees the whole version or none.
        gone = Path(tempfile.mkdtemp(prefix=".removed-", dir=place))
        (place / found).rename(gone / found)
        (place / f"{found}.json").unlink(missing_ok=True)
        shutil.rmtree(gone)
    except OSError as error:
        raise ConfigError(f"{place / found}: cannot be deleted: {error.strerror}") from error
    return found


def find_version(digest_or_path: str, folder: Path | None = None) -> Version:
    """The version with a digest, with the first characters of one, or with its path.

    Raises:
        ConfigError: there is no such version.
    """
    place = versions_folder(folder)
    current, _ = _history(place)
    embedded = _embedded(current)
    if digest_or_path == EMBEDDED or _begins(embedded.digest, digest_or_path):
        return embedded
    digest = digest_or_path
    if os.sep in digest_or_path:
        path = _resolved(digest_or_path)
        if path is None or path.parent != _resolved(str(place)):
            raise ConfigError(
                f"{printable(digest_or_path[:200])} is not in the folder of models; "
                "add it with ecolite-stream models add PATH"
            )
        digest = path.name
    return _version(place, _full_digest(digest, place), current)


def bundle_path(config: StreamConfig) -> Path:
    """Folder of the bundle of a run: the configured one, or that of the current version.

    Raises:
        ConfigError: the folder of versions is damaged.
    """
    if config.bundle is not None:
        return config.bundle
    place = versions_folder(config.models)
    current, _ = _history(place)
    return place / current if current else demo_bundle_path()


def _embedded(current: str) -> Version:
    path = demo_bundle_path()
    facts = _read(path / DESCRIPTION, limits.MAX_DESCRIPTION_BYTES)
    return Version(facts["digest"], path, EMBEDDED, None, facts["scores"], not current)


def _version(place: Path, digest: str, current: str) -> Version:
    """A version of the folder; its graphs are only verified when it is used."""
    noted = _read(place / f"{digest}.json")
    facts = _read(place / digest / DESCRIPTION, limits.MAX_DESCRIPTION_BYTES)
    name, created, scores = noted.get("name"), noted.get("created"), facts.get("scores")
    return Version(
        digest,
        place / digest,
        name if isinstance(name, str) else digest[:12],
        created if isinstance(created, str) else None,
        scores if isinstance(scores, dict) else {},
        digest == current,
    )


def _resolved(path: str) -> Path | None:
    try:
        return Path(path).resolve()
    except (OSError, ValueError, RuntimeError):  # a zero byte, a loop of links
        return None


def _verify(version: Version) -> None:
    if read_bundle(version.path).digest != version.digest:
        raise BundleError(f"{version.path} holds another bundle; remove it and add it again")


def _digests(place: Path) -> list[str]:
    try:
        names = [entry.name for entry in os.scandir(place) if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ConfigError(f"{place}: cannot be read: {error.strerror}") from error
    return sorted(name for name in names if _is_digest(name))[:MOST_VERSIONS]


def _is_digest(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def _begins(digest: str, start: str) -> bool:
    return len(start) >= _SHORTEST_DIGEST and digest.startswith(start)


def _full_digest(start: str, place: Path) -> str:
    found = [digest for digest in _digests(place) if _begins(digest, start)]
    if len(found) != 1:
        what = "several versions begin with" if found else "there is no version"
        raise ConfigError(f"{what} {start[:64]!r}; ecolite-stream models lists them")
    return found[0]


def _history(place: Path) -> tuple[str, list[str]]:
    """(digest of the current version, digests before it); an empty one is the embedded bundle."""
    facts = _read(place / CURRENT)
    current, before = facts.get("current", ""), facts.get("before", [])
    if not isinstance(before, list) or not all(
        isinstance(one, str) and (one == "" or _is_digest(one)) for one in [current, *before]
    ):
        raise ConfigError(f"{place / CURRENT} is malformed; delete it to use the embedded bundle")
    return current, before


def _history_of(current: str, before: list[str]) -> dict[str, Any]:
    return {"current": current, "before": before[-MOST_BEFORE:]}


@contextlib.contextmanager
def _changing(place: Path) -> Iterator[None]:
    """Let one program at a time read and change which version is current.

    Raises:
        ConfigError: the folder cannot be written.
    """
    try:
        place.mkdir(parents=True, exist_ok=True)
        with locked_folder(place):
            yield
    except OSError as error:
        raise ConfigError(f"{place / CURRENT}: cannot be written: {_why(error)}") from error


def _why(error: OSError) -> str:
    return error.strerror or str(error)


def _read(path: Path, most_bytes: int = _MOST_BYTES) -> dict[str, Any]:
    """A small JSON object; empty where there is no file."""
    try:
        limits.require_regular(path, most_bytes, "delete it")
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}  # a service may have no access to the home folder
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read: {error}; delete it") from error
    if not isinstance(facts, dict):
        raise ConfigError(f"{path} holds no JSON object; delete it")
    return facts


def _write(path: Path, facts: dict[str, Any]) -> None:
    replace_text(path, json.dumps(facts, indent=2) + "\n")


def _copy(bundle: Bundle, place: Path) -> None:
    """Copy the files of a bundle; the folder appears when all are there and right."""
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=place))
    try:
        part.chmod(0o755)
        for name in [*(graph.file for graph in bundle.graphs), *bundle.files, DESCRIPTION]:
            shutil.copyfile(bundle.file(name), part / name)
        if read_bundle(part).digest != bundle.digest:
            raise BundleError(f"{bundle.path} changed while it was copied; add it again")
        part.rename(place / bundle.digest)
    except OSError:
        if not (place / bundle.digest).is_dir():  # or another process added it just now
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
