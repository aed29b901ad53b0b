"""The page as a run has it: what it needs of the streams, and the sink that feeds it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import click

from ecolite_stream.config.schema import StreamConfig, WebConfig
from ecolite_stream.config.views import view_name
from ecolite_stream.datasets.collect_kind import CollectConfig
from ecolite_stream.errors import ConfigError
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.pipeline.reader import StreamInput
from ecolite_stream.sinks import Sink
from ecolite_stream.sinks.clips import ClipsConfig
from ecolite_stream.sources import redact_url
from ecolite_stream.store.config import StoreConfig
from ecolite_stream.types import Frame
from ecolite_stream.version import __version__
from ecolite_stream.web.access import given_token, read_tokens
from ecolite_stream.web.latest_frames import LatestFrames
from ecolite_stream.web.page_state import PageState

if TYPE_CHECKING:
    from ecolite_stream.datasets.collect_sink import CollectSink
    from ecolite_stream.fleet.config import Fleet
    from ecolite_stream.web.api.control import RunControl
    from ecolite_stream.web.api.types import StreamSettings


class _PageStreams:
    """Connects the streams of a run to the page, and holds the settings of each.

    Args:
        config: of the run; settings of a stream that is not connected.
        names: of the streams at the start.
    """

    def __init__(self, config: StreamConfig, names: Sequence[str]) -> None:
        self.gallery = LatestFrames()
        self.board = PageState(names, on_removed=self.gallery.forget)
        self._config = config
        # The run holds its streams; of one that was removed nothing is left here.
        self._inputs: WeakValueDictionary[str, StreamInput] = WeakValueDictionary()

    def connect(self, stream: StreamInput) -> StreamInput:
        """The stream, with a function that shows its sampled frames on the page."""
        connected = dataclasses.replace(stream, on_sampled=self._sampled)
        self._inputs[stream.name] = connected
        return connected

    def settings(self, name: str) -> StreamSettings:
        """The settings of a stream."""
        from ecolite_stream.web.api.types import StreamSettings

        stream = self._inputs.get(name)
        one = (stream and stream.settings) or self._config
        return StreamSettings(
            every_s=one.every_s,
            memory=one.memory.policy,
            views=tuple(map(view_name, one.views)),
            ignore=one.events.ignore,
            min_s=one.events.min_s,
        )

    def source(self, name: str) -> str:
        """The source of a stream, without credentials; its name if the source is unknown."""
        stream = self._inputs.get(name)
        return (stream and redact_url(stream.source)) or name

    def _sampled(self, frame: Frame, live: bool) -> None:
        self.board.note_live(frame.stream, live)
        self.gallery.show(frame)


@contextlib.contextmanager
def with_page(
    names: Sequence[str],
    labels: Sequence[str],
    metrics: Metrics,
    config: StreamConfig,
    control: RunControl | None = None,
    collecting: Callable[[], CollectSink | None] = lambda: None,
    fleet: tuple[Fleet, str] | None = None,
) -> Iterator[tuple[Callable[[StreamInput], StreamInput], list[Sink]]]:
    """Serve the page while the block runs, if the configuration wants it; says where on stderr.

    Args:
        names: of the streams.
        labels: the bundle's; each gets a colour.
        metrics: where the run counts.
        config: all of it.
        control: changes the streams of the run, if that can be done.
        collecting: makes clips to teach with, once the sinks are built.
        fleet: the fleet that the run belongs to, and the name of its machine.

    Returns:
        What lets a stream show the page its pictures, and the sinks to add: one, or none. The run
        must hold the streams: the page knows them as long as they exist.

    Raises:
        ConfigError: the extra is not installed, or nothing can listen there.
    """
    if config.web.address is None:
        yield lambda stream: stream, []
        return
    check_page(config.web)
    from ecolite_stream.web.api.fleet import Place
    from ecolite_stream.web.server import serve_page
    from ecolite_stream.web.site import Run

    streams = _PageStreams(config, names)
    about = _about(config, labels)
    if control is not None:
        control.on_bundle(lambda bundle: about.update(labels=bundle.spec.labels))
    clips = config.web.clips or config.section(ClipsConfig).folder
    web = dataclasses.replace(config.web, clips=clips)
    run = Run(
        config.section(StoreConfig).url,
        streams.settings,
        control,
        collecting,
        streams.source,
        alerts=lambda: control.alerts if control else None,
        place=None if fleet is None else Place(*fleet),
    )
    with serve_page(streams.board, streams.gallery, metrics, web, about, run) as url:
        click.echo(f"page: {url}", err=True)
        yield streams.connect, [streams.board]


def _about(config: StreamConfig, labels: Sequence[str]) -> dict[str, Any]:
    """Version, labels and settings that the page needs at its start."""
    return {
        "version": __version__,
        "every_s": config.every_s,
        "labels": labels,
        "idle": config.events.ignore,
        "collects": config.section(CollectConfig).folder is not None,
    }


def check_page(config: WebConfig) -> None:
    """Find out whether a page could be served, without serving it.

    Raises:
        ConfigError: the extra is not installed, or the token that is given cannot be one.
    """
    try:
        import ecolite_stream.web.server  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the page needs {error.name}, which is not installed; "
            "run pip install 'ecolite-stream[web]'"
        ) from error
    given_token(config)
    read_tokens(config)
