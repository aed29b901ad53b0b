"""Topics of streams and their views, the action of each, and what is retained there."""

from __future__ import annotations

import threading
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ecolite_stream.config.views import MOST_SUBJECTS, SUBJECTS, view_label
from ecolite_stream.types import Event, Output

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessageInfo

_KINDS = ("action", "prediction")
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

    def change_views(self, stream: str, views: Sequence[str]) -> tuple[list[str], list[str]]:
        """Give a stream other views.

        Returns:
            Topics that it has no longer, and new action topics.
        """
        before = self.views(stream)
        self._views[stream] = tuple(views)
        after = self.views(stream)
        gone = [view for view in before if view not in after]
        new = [self.topic(stream, "action", view) for view in after if view not in before]
        topics = [self.topic(stream, kind, view) for view in gone for kind in _KINDS]
        with self._lock:
            for topic in [*topics, *new]:
                self._lasting.pop(topic, None)
        return topics, new

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


class RetainedState:
    """A retained value: the newest, and the message that is on its way."""

    def __init__(self, value: str) -> None:
        self.value = value
        self._changed = True
        self._info: MQTTMessageInfo | None = None

    @property
    def may_be_sent(self) -> bool:
        return self._changed and self._info is None

    def change(self, value: str) -> None:
        self._changed = self._changed or value != self.value
        self.value = value

    def sent(self, info: MQTTMessageInfo) -> None:
        from paho.mqtt.enums import MQTTErrorCode

        if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._changed, self._info = False, info

    def published(self, mid: int) -> None:
        if self._info is not None and self._info.mid == mid:
            self._info = None

    def forget(self) -> None:
        """What was on its way is lost, and the broker may know nothing."""
        self._changed, self._info = True, None

    def wait(self, timeout_s: float) -> None:
        if (info := self._info) is not None and timeout_s > 0:
            info.wait_for_publish(timeout_s)
