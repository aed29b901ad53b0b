"""Events that are old, or too many, go, and their clips with them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sqlalchemy import ColumnElement, and_, delete, func, not_, select, true

from ecolite_stream.media.clip_names import clip_name
from ecolite_stream.store.config import RetainConfig, StoreConfig
from ecolite_stream.store.database import Database
from ecolite_stream.store.queries import first_id
from ecolite_stream.store.rows import plain
from ecolite_stream.store.schema import OPEN, events, pictures

_BATCH = 200
_DAY_MS = 86_400_000


class Retention:
    """Deletes what one site need not keep any longer, some hundred events at a time.

    Other sites of the database delete their own. An event that is marked `keep` stays, and so does
    its clip: it becomes read-only, which spares it from `clips.max_bytes` too.

    Args:
        config: how long what stays.
        clips: folder of this run's clips, if any; no other file is ever touched.
    """

    def __init__(self, config: StoreConfig, clips: Path | None) -> None:
        self._config = config
        self._clips = clips
        self._site = events.c.site == plain(config.site_name)
        self._may_go = and_(self._site, events.c.keep.is_(False), events.c.state != OPEN)

    def run(self, database: Database, now_ms: int, goes_on: Callable[[], bool]) -> int:
        """Delete what is due; return how many events went.

        Args:
            database: the store.
            now_ms: time of day, ms since 1970.
            goes_on: called after each batch; at False the rest is left for the next time.

        Raises:
            StoreError: the store cannot be used now.
        """
        self._protect(database)
        gone = 0
        for condition in self._conditions(now_ms):
            while deleted := self._delete(database, condition):
                gone += deleted
                if not goes_on():
                    return gone
        while deleted := self._delete_oldest(database):
            gone += deleted
            if not goes_on():
                break
        return gone

    def _conditions(self, now_ms: int) -> Iterator[ColumnElement[bool]]:
        yield and_(self._site, events.c.deleted.is_(True), events.c.state != OPEN)
        earlier: list[ColumnElement[bool]] = []
        for rule in (*self._config.retain, RetainConfig(self._config.days)):
            fits = _fits(rule)
            if rule.days is not None:
                before = events.c.id < first_id(round(now_ms - rule.days * _DAY_MS))
                yield and_(self._may_go, before, fits, *(not_(other) for other in earlier))
            earlier.append(fits)

    def _delete(self, database: Database, condition: ColumnElement[bool]) -> int:
        with database.read() as connection:
            wanted = select(events.c.id).where(condition).order_by(events.c.id).limit(_BATCH)
            ids = list(connection.execute(wanted).scalars())
        self._remove(database, ids)
        return len(ids)

    def _delete_oldest(self, database: Database) -> int:
        """Delete the oldest events, as many as the limit of size asks for, up to a batch."""
        if self._config.max_bytes is None:
            return 0
        with database.read() as connection:
            total = select(func.sum(events.c.size_bytes)).where(self._site)
            too_much = int(connection.execute(total).scalar() or 0) - self._config.max_bytes
            if too_much <= 0:
                return 0
            oldest = select(events.c.id, events.c.size_bytes).where(self._may_go)
            rows = connection.execute(oldest.order_by(events.c.id).limit(_BATCH)).all()
        ids = []
        for event_id, size_bytes in rows:
            if too_much <= 0:
                break
            ids.append(event_id)
            too_much -= size_bytes
        self._remove(database, ids)
        return len(ids)

    def _remove(self, database: Database, ids: Sequence[str]) -> None:
        """Clips first: what is interrupted in between is done again at the next time."""
        if not ids:
            return
        for event_id in ids:
            if (clip := self._clip(event_id)) is not None:
                with contextlib.suppress(OSError):
                    clip.unlink(missing_ok=True)
        with database.begin() as connection:
            connection.execute(delete(pictures).where(pictures.c.event.in_(ids)))
            connection.execute(delete(events).where(events.c.id.in_(ids)))

    def _protect(self, database: Database) -> None:
        """Make clips of kept events read-only, and the others writable."""
        if self._clips is None:
            return
        with database.read() as connection:
            kept = select(events.c.id).where(self._site, events.c.keep.is_(True))
            names = {clip_name(event_id) for event_id in connection.execute(kept).scalars()}
        for path in self._clips.glob("*.mp4"):
            with contextlib.suppress(OSError):
                mode = path.lstat().st_mode & 0o777
                wanted = mode & ~0o222 if path.name in names else mode | 0o200
                if mode != wanted and not path.is_symlink():
                    path.chmod(wanted)

    def _clip(self, event_id: str) -> Path | None:
        return None if self._clips is None else self._clips / clip_name(event_id)


def _fits(rule: RetainConfig) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [true()]
    if rule.stream is not None:
        conditions.append(events.c.stream == plain(rule.stream))
    if rule.label is not None:
        conditions.append(events.c.label == plain(rule.label))
    return and_(*conditions)
