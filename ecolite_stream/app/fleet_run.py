"""Run a machine of a fleet: its pipeline, its leases and a candidate for the supervisor."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecolite_stream.app.build import (
    engine_opener,
    stream_inputs,
    stream_names,
    with_precision,
)
from ecolite_stream.app.control import PipelineControl
from ecolite_stream.app.extras import missing_extra
from ecolite_stream.app.fleet_reload import FleetReloader, check_live, secret_of
from ecolite_stream.app.reload import reload_on_sighup
from ecolite_stream.app.sinks import SINKS, RunConfig
from ecolite_stream.app.systemd import notify_systemd
from ecolite_stream.app.versions import bundle_path
from ecolite_stream.config.includes import load_stream_config
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.config.source_names import named_source
from ecolite_stream.errors import ConfigError
from ecolite_stream.fleet.config import Fleet, load_fleet, make_fleet
from ecolite_stream.fleet.gate import LeaseGate
from ecolite_stream.fleet.leases import LeaseKeeper
from ecolite_stream.model.bundle import read_bundle
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.observability.metrics_server import serve
from ecolite_stream.observability.stream_health import Health, HealthReader
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import StreamInput
from ecolite_stream.recognition.models import model_of
from ecolite_stream.recognition.recognizer import check_fits
from ecolite_stream.recording.kind import RecordConfig
from ecolite_stream.sinks.kind import Run, build_sinks
from ecolite_stream.sources import redact_url
from ecolite_stream.store.config import StoreConfig
from ecolite_stream.web.page import with_page

if TYPE_CHECKING:
    from ecolite_stream.fleet.reports import Reporter
    from ecolite_stream.model.bundle import Bundle
    from ecolite_stream.sinks import Sink
    from ecolite_stream.store.database import Database

FLEET_PATH = "/fleet"
"""Path of the fleet's metrics, at the address of `metrics`."""


def read_fleet(path: Path) -> tuple[Fleet, StreamConfig]:
    """Read and check a fleet's file and the configuration that it names.

    Raises:
        EcoliteError: they cannot run.
    """
    fleet_config = load_fleet(path)
    config = load_stream_config(fleet_config.config, RunConfig)
    where = fleet_config.config
    if config.section(StoreConfig).url is None:
        raise ConfigError(f"{where}: set store.url; the fleet keeps its leases there")
    sources = [named_source(source) for source in config.source]
    if not sources:
        raise ConfigError(f"{where}: no source; name the cameras under source")
    for source in sources:
        if source.name is None:
            shown = redact_url(source.url)
            raise ConfigError(f"{where}: source {shown} has no name; give each camera one")
        check_live(source.name, source.url, str(where))
    if config.section(RecordConfig).folder is not None:
        raise ConfigError(f"{where}: record is not for fleets; their streams come and go by leases")
    names = stream_names(sources)
    urls = {name: redact_url(one.url) for name, one in zip(names, sources, strict=True)}
    lacks = {name: secret_of(one.url) for name, one in zip(names, sources, strict=True)}
    secrets = {name: secret for name, secret in lacks.items() if secret is not None}
    return make_fleet(fleet_config, urls, secrets), config


class PipelineStreams:
    """Cameras of a fleet as streams of a pipeline; see `fleet.member.Streams`."""

    def __init__(self, config: StreamConfig) -> None:
        self.change(config)

    def change(self, config: StreamConfig) -> None:
        """Set the configuration of streams that are added from now on."""
        self._config = config

    def attach(self, pipeline: Pipeline, connect: Callable[[StreamInput], StreamInput]) -> None:
        """Set the pipeline, and the function that connects new streams to the page."""
        self._pipeline, self._connect = pipeline, connect

    def names(self) -> Collection[str]:
        """Those that are watched or paused."""
        return self._pipeline.streams

    def add(self, name: str, share: float) -> None:
        """Watch a camera; a share below 1 makes the time between two predictions longer.

        Raises:
            ConfigError: there is no such camera any more, or it is still being removed.
        """
        config = self._config
        found = [source for source in map(named_source, config.source) if source.name == name]
        if not found:
            raise ConfigError(f"there is no camera {name!r} any more")
        source = found[0]
        if share < 1:
            every_s = config.of_stream(source).every_s / share
            source = dataclasses.replace(source, every_s=every_s)
        (stream,) = stream_inputs(dataclasses.replace(config, source=(source,)))
        self._pipeline.add(self._connect(stream))

    def remove(self, name: str) -> None:
        """Watch a camera no longer."""
        if name in self._pipeline.streams:
            self._pipeline.remove(name)

    def stop(self) -> None:
        """Stop the pipeline."""
        self._pipeline.stop()


def run_machine(
    fleet: Fleet,
    config: StreamConfig,
    machine: str,
    supervises: bool = True,
    on_start: Callable[[Pipeline], object] = lambda pipeline: None,
    load: Callable[[], tuple[Fleet, StreamConfig]] | None = None,
    on_sighup: bool = False,
) -> None:
    """Watch the cameras that this machine is given, until the run is stopped.

    Args:
        fleet: the fleet.
        config: of the streams.
        machine: name of this machine.
        supervises: whether to be a candidate for the supervisor.
        on_start: called with the pipeline before it runs.
        load: reads the fleet and its configuration again; None takes them as they are.
        on_sighup: whether to do so at SIGHUP; only in the main thread of a process.

    Raises:
        EcoliteError: the fleet, the bundle, the engine or the store cannot be used.
    """
    from ecolite_stream.app.fleet_bundle import RolloutFollower
    from ecolite_stream.fleet.ledger import Holder, Ledger
    from ecolite_stream.fleet.member import Member, kept_in_step
    from ecolite_stream.fleet.proposals import Proposals
    from ecolite_stream.fleet.reports import Reporter
    from ecolite_stream.fleet.rollout import Rollout
    from ecolite_stream.fleet.supervisor import Supervisor

    check_machine(fleet, machine)
    bundle = read_bundle(bundle_path(config))
    check_fits(config, bundle.spec)
    loaded, config = config, with_precision(config, bundle)
    metrics, keeper = Metrics(), LeaseKeeper(fleet.config.times)
    control = PipelineControl(config, bundle)
    reporter = Reporter(lambda: control.bundle.digest, health_of(metrics))
    with (
        open_store(config, create=True) as database,
        serve_metrics(metrics, config, fleet, database),
        with_page([], bundle.spec.labels, metrics, config, fleet=(fleet, machine)) as (
            connect,
            page,
        ),
    ):
        ledger, streams = Ledger(database, fleet.config.name), PipelineStreams(config)
        member: Member
        reloader = FleetReloader(
            *(fleet, machine, loaded, load or (lambda: (fleet, loaded))),
            *(lambda: control.bundle.spec, streams.change, lambda names: member.reopen(names)),
        )
        member = Member(
            *(fleet, machine, ledger, keeper, streams, reporter.text),
            *(reloader.adopt, streams.stop),
        )
        member.join()  # before anything is made: it may refuse
        pipeline = _pipeline(config, bundle, keeper, reporter, metrics, page)
        streams.attach(pipeline, connect)
        control.attach(pipeline, connect)
        follower = RolloutFollower(Rollout(ledger), machine, control)
        candidate = Holder(machine, f"{member.holder.process}/supervisor")
        supervisor = Supervisor(fleet, ledger, candidate) if supervises else None
        answer = functools.partial(
            Proposals(ledger).answer, member.holder, fleet.config.config, reloader.check
        )
        on_start(pipeline)
        with (
            kept_in_step(member, supervisor, follower.tick, answer),
            notify_systemd(pipeline.heartbeat),
            reload_on_sighup(reloader if on_sighup else None),
        ):
            pipeline.run()


def _pipeline(
    config: StreamConfig,
    bundle: Bundle,
    keeper: LeaseKeeper,
    reporter: Reporter,
    metrics: Metrics,
    page: Sequence[Sink],
) -> Pipeline:
    """A pipeline without streams, whose outputs pass while the leases of their cameras hold."""
    from ecolite_stream.fleet.ledger import LeaseFence

    gate = LeaseGate(keeper.mark)
    sinks = build_sinks(SINKS, Run(config, [], bundle, fence=LeaseFence()))
    return Pipeline(
        [],
        engine_opener(config, bundle),
        model_of(bundle, config.engine, config.device, config.precision),
        [*sinks, *page],
        config,
        metrics,
        admit=lambda output: reporter.note(gate.admit(output)),
        stays=True,
    )


def health_of(metrics: Metrics) -> Callable[[Sequence[str]], Sequence[Health]]:
    """Reads the health of streams by their names."""
    wanted: list[str] = []
    reader = HealthReader(metrics.registry, lambda: wanted)

    def read(names: Sequence[str]) -> Sequence[Health]:
        wanted[:] = names
        found = reader.read()
        return [found[name] for name in names]

    return read


@contextlib.contextmanager
def serve_metrics(
    metrics: Metrics, config: StreamConfig, fleet: Fleet, database: Database
) -> Iterator[None]:
    """Serve the metrics of the machine, and at `FLEET_PATH` those of the fleet, if wanted."""
    from ecolite_stream.fleet.metrics import FleetMetrics
    from ecolite_stream.fleet.status import FleetStatus, status_of

    if not config.metrics:
        yield
        return

    def read() -> FleetStatus:
        with database.read() as connection:
            return status_of(fleet, connection)

    whole = FleetMetrics(fleet.config.name, read)
    try:
        with serve(metrics, config.metrics, config.web.hosts, {FLEET_PATH: whole}):
            yield
    finally:
        whole.close()


@contextlib.contextmanager
def open_store(config: StreamConfig, *, create: bool) -> Iterator[Database]:
    """The store of a configuration, opened.

    Raises:
        ConfigError: it cannot be, or the extra is not installed.
    """
    try:
        from ecolite_stream.store.database import Database
    except ModuleNotFoundError as error:
        raise missing_extra("fleet", error.name or "sqlalchemy", "store") from error
    database = Database(config.section(StoreConfig).url or "", create=create)
    try:
        yield database
    finally:
        database.close()


def check_machine(fleet: Fleet, machine: str) -> None:
    """Check that a machine belongs to a fleet.

    Raises:
        ConfigError: it does not.
    """
    if machine not in fleet.config.machines:
        known = ", ".join(fleet.config.machines)
        raise ConfigError(
            f"fleet {fleet.config.name!r} has no machine {machine!r}; "
            f"use --machine with one of {known}, or name it under machines"
        )
