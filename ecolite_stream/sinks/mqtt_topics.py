"""Topics of streams and their views, and the action that each of them shows."""

from __future__ import annotations

import threading
import urllib.parse
from collections.abc import Mapping, Sequence

from ecolite_stream.config.views import MOST_SUBJECTS, SUBJECTS, view_label
from ecolite_stream.types import Event, Output

NO_ACTION = "none"
"""What a view's action is while no event lasts."""


class ViewTopics:
    """PREFIX/STREAM/KIND, or PREFIX/STREAM/VIEW/KIND for each view of a stream with several.

    All subjects of a stream are one view. Methods may be called from any thread.

    Args:
        prefix: first part of every topic.
        views: names of the views of each stream that has several, () for the others. Those of a
            stream that is missing are taken from its predictions and events.
    """

    def __init__(self, prefix: str, views: Mapping[str, Sequence[str]]) -> None:
        self._prefix = prefix
        self._views = dict(views)
        self._lasting: dict[str, dict[str, str]] = {}  # label by view, of each topic
        self._lock = threading.Lock()

    def topic(self, stream: str, kind: str, view: str = "") -> str:
        """The topic of a view; of the stream itself without one."""
        parts = [stream, view] if view else [stream]
        quoted = [urllib.parse.quote(part, safe="", errors="surrogateescape") for part in parts]
        return "/".join([self._prefix, *quoted, kind])

    def views(self, stream: str) -> Sequence[str]:
        """Names of a stream's views in topics; one empty name where it has one view."""
        return tuple(map(view_label, self._views.get(stream, ()))) or ("",)

    def actions(self, stream: str) -> list[str]:
        """The action topics of a stream that begins: no event lasts there."""
        topics = [self.topic(stream, "action", view) for view in self.views(stream)]
        with self._lock:
            for topic in topics:
                self._lasting.pop(topic, None)
        return topics

    def change_views(self, stream: str, views: Sequence[str]) -> list[str]:
        """Give a stream other views; return the topics that it has no longer."""
        before = self.views(stream)
        self._views[stream] = tuple(views)
        gone = set(before) - set(self.views(stream))
        return [
            self.topic(stream, kind, view) for view in gone for kind in ("action", "prediction")
        ]

    def prediction(self, output: Output) -> str | None:
        """The topic of a prediction; None if its stream has no such view any more."""
        view = self._view(output)
        return None if view is None else self.topic(output.stream, "prediction", view)

    def action(self, event: Event) -> tuple[str, str] | None:
        """The topic of an event's view and the label that lasts there after it.

        Of several subjects' events the newest counts. None if the stream has no such view any more.
        """
        view = self._view(event)
        if view is None:
            return None
        topic = self.topic(event.stream, "action", view)
        with self._lock:
            lasting = self._lasting.setdefault(topic, {})
            if event.kind == "end":
                lasting.pop(event.view, None)
            else:
                lasting[event.view] = event.label
            while len(lasting) > MOST_SUBJECTS:  # of those whose end was lost
                del lasting[next(iter(lasting))]
            return topic, next(reversed(lasting.values()), NO_ACTION)

    def _view(self, output: Output) -> str | None:
        label = view_label(output.view)
        if output.stream not in self._views:
            return label
        views = self.views(output.stream)
        if views == ("",):
            return "" if label in ("", SUBJECTS) else None
        return label if label in views else None
