"""The store as a kind of sink: its option, its check and how it is built."""

from __future__ import annotations

from ecolite_stream.sinks.base import Sink
from ecolite_stream.sinks.clips import ClipsConfig
from ecolite_stream.sinks.kind import Run, SinkKind
from ecolite_stream.store.config import StoreConfig


def _check(config: StoreConfig, run: Run) -> str:
    from ecolite_stream.store.database import check_url

    assert config.url is not None
    return f"events to {check_url(config.url)}"


def _build(config: StoreConfig, run: Run) -> Sink:
    from ecolite_stream.store.sink import StoreSink

    clips = run.config.section(ClipsConfig).folder
    return StoreSink(config, run.streams, run.bundle.digest, clips, fence=run.fence)


SINK = SinkKind(
    "store",
    StoreConfig,
    key="url",
    metavar="URL",
    help="Store events in a database: sqlite:///FILE or postgresql+psycopg://HOST/DATABASE.",
    check=_check,
    build=_build,
    extra="store",
)
