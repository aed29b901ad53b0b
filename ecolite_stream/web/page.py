"""The page as a run has it: what it needs of the streams, and the sink that feeds it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

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
        What lets a stream show the page its pictures, and the sinks to add: one, or none.

    Raises:
        ConfigError: the extra is not installed, or nothing can listen there.
    """
    if config.web.address is None:
        yield lambda stream: stream, []
        return
    check_page(config.web)
    from ecolite_stream.web.api.fleet import Place
    from ecolite_stream.web.api.types import StreamSettings
    from ecolite_stream.web.server import serve_page
    from ecolite_stream.web.site import Run

    watched: dict[str, StreamConfig] = {}  # settings by name
    sources: dict[str, str] = {}

    def connect(stream: StreamInput) -> StreamInput:
        watched[stream.name] = stream.settings or config
        sources[stream.name] = redact_url(stream.source)
        return dataclasses.replace(stream, on_sampled=sampled)

    def settings(name: str) -> StreamSettings:
        one = watched.get(name, config)
        return StreamSettings(
            every_s=one.every_s,
            memory=one.memory.policy,
            views=tuple(map(view_name, one.views)),
            ignore=one.events.ignore,
            min_s=one.events.min_s,
        )

    board, gallery = PageState(names), LatestFrames()

    def sampled(frame: Frame, live: bool) -> None:
        board.note_live(frame.stream, live)
        gallery.show(frame)

    about: dict[str, Any] = {
        "version": __version__,
        "every_s": config.every_s,
        "labels": labels,
        "idle": config.events.ignore,
        "collects": config.section(CollectConfig).folder is not None,
    }
    if control is not None:
        control.on_bundle(lambda bundle: about.update(labels=bundle.spec.labels))
    clips = config.web.clips or config.section(ClipsConfig).folder
    web = dataclasses.replace(config.web, clips=clips)
    run = Run(
        config.section(StoreConfig).url,
        settings,
        control,
        collecting,
        lambda name: sources.get(name) or name,
        alerts=lambda: control.alerts if control else None,
        place=None if fleet is None else Place(*fleet),
    )
    with serve_page(board, gallery, metrics, web, about, run) as url:
        click.echo(f"page: {url}", err=True)
        yield connect, [board]


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
