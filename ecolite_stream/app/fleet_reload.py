"""Changes of a machine of a fleet while it runs: its own files, and the fleet's definition."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Collection

from ecolite_stream.app.build import stream_inputs
from ecolite_stream.app.reload import differs, in_words, needs_restart
from ecolite_stream.config.logins import split_login, with_login
from ecolite_stream.config.redact import redact_url
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.config.source_names import NamedSource, named_source
from ecolite_stream.errors import ConfigError
from ecolite_stream.fleet.config import LOGIN, WHOLE, Fleet
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.recognition.recognizer import check_fits
from ecolite_stream.sources import check_spec, may_be_live

_log = logging.getLogger(__name__)


class FleetReloader:
    """Applies a changed configuration, or a changed definition of the fleet, to a machine.

    Streams whose source or settings changed are opened anew. Machines, cameras, their addresses and
    the times of leases are the same on all machines, so the files of one cannot change them.

    Args:
        fleet: the fleet that runs.
        machine: name of this machine.
        config: current configuration of the machine.
        load: reads both again.
        spec: gives what the current bundle expects.
        change: sets the configuration of streams that are opened from now on.
        reopen: opens streams anew, if they are watched.
    """

    def __init__(
        self,
        fleet: Fleet,
        machine: str,
        config: StreamConfig,
        load: Callable[[], tuple[Fleet, StreamConfig]],
        spec: Callable[[], ModelSpec],
        change: Callable[[StreamConfig], object],
        reopen: Callable[[Collection[str]], object],
    ) -> None:
        self._fleet = fleet
        self._machine = machine
        self._config = config
        self._load = load
        self._spec = spec
        self._change = change
        self._reopen = reopen
        self._checked: tuple[str, StreamConfig] | None = None
        self._lock = threading.Lock()

    def reload(self) -> str:
        """Read and apply the configuration.

        Returns:
            The changes, in one line.

        Raises:
            EcoliteError: the configuration is wrong; the run is unchanged.
        """
        fleet, config = self._load()
        with self._lock:
            if fleet.digest != self._fleet.digest:
                raise ConfigError(
                    "machines, cameras, their addresses or times are not those of the running "
                    "fleet; change them on all machines with ecolite-stream fleet apply, or copy "
                    "the current files here"
                )
            self._check_fits(config)
            self._checked = None
            return in_words(self._apply(config))

    def check(self, fleet: Fleet) -> None:
        """Check that this machine could change to a definition, with its files as they are now.

        Raises:
            EcoliteError: it could not.
        """
        if self._machine in fleet.config.machines:
            self._checked = fleet.digest, self._config_for(fleet)

    def adopt(self, fleet: Fleet) -> None:
        """Change to a definition that names this machine.

        Raises:
            EcoliteError: it cannot be; the run is unchanged.
        """
        digest, config = self._checked or ("", self._config)
        if digest == fleet.digest:
            self._check_fits(config)  # the bundle may have changed
        else:
            config = self._config_for(fleet)
        there = [camera.name for camera in self._fleet.cameras]
        then = [camera.name for camera in fleet.cameras]
        cameras = {
            "added": [name for name in then if name not in there],
            "removed": [name for name in there if name not in then],
        }
        with self._lock:
            words = in_words({**cameras, **self._apply(config)})
            self._fleet = fleet
        _log.warning("fleet: changed to definition %s: %s", fleet.digest[:12], words)

    def _config_for(self, fleet: Fleet) -> StreamConfig:
        config = with_cameras(self._load()[1], fleet, self._machine)
        self._check_fits(config)
        return config

    def _check_fits(self, config: StreamConfig) -> None:
        for stream in stream_inputs(config):
            check_fits(stream.settings or config, self._spec())

    def _apply(self, config: StreamConfig) -> dict[str, list[str]]:
        """Apply a configuration; return names by kind of change."""
        before = {stream.name: stream for stream in stream_inputs(self._config)}
        wanted = {stream.name: stream for stream in stream_inputs(config)}
        changed = [
            name for name in wanted if name in before and differs(before[name], wanted[name])
        ]
        restart = needs_restart(self._config, config)
        self._change(config)
        self._config = config
        self._reopen(changed)
        return {"changed": changed, "restart to apply": restart}


def with_cameras(config: StreamConfig, fleet: Fleet, machine: str) -> StreamConfig:
    """A machine's configuration with the cameras of a definition that it may watch.

    Settings of a camera, its user and password come from the configuration of the machine.

    Raises:
        EcoliteError: an address cannot be watched, or the machine lacks user and password.
    """
    own = {source.name: source for source in map(named_source, config.source)}
    addresses = fleet.addresses()
    sources = []
    for name in (camera.name for camera in fleet.cameras_of(machine)):
        source = own.get(name) or NamedSource(addresses[name], name)
        url = _url(name, addresses[name], fleet.secrets.get(name), source.url, config)
        check_live(name, url, "the definition of the fleet")
        check_spec(url)
        sources.append(dataclasses.replace(source, url=url))
    return dataclasses.replace(config, source=tuple(sources))


def secret_of(url: str) -> str | None:
    """What a URL without its credentials lacks: `LOGIN`, `WHOLE`, or None for nothing."""
    shown = redact_url(url)
    if url == shown:
        return None
    return LOGIN if split_login(url)[0] == shown else WHOLE


def check_live(name: str, url: str, where: str) -> None:
    """Check that a camera of a fleet is no recording.

    Raises:
        ConfigError: it is.
    """
    if not may_be_live(url) and url.partition(":")[0] != "pattern":
        raise ConfigError(f"{where}: {name} is a recording; use ecolite-stream archive for those")


def _url(name: str, address: str, lacks: str | None, own: str, config: StreamConfig) -> str:
    """The whole URL of a camera, from its address and what this machine has."""
    if redact_url(own) == address and (own != address or lacks is None):
        return own
    if lacks is None:
        return address
    if lacks == WHOLE:
        raise ConfigError(
            f"{name}: its address has secret parts; name it under source in the configuration of "
            "this machine"
        )
    login = split_login(own)[1]  # that of the URL goes first, as everywhere
    if not login and name in config.logins:
        login = config.logins[name].in_url
    if not login:
        raise ConfigError(
            f"{name}: no user and password; name them under logins in the configuration of this "
            "machine"
        )
    return with_login(address, login)
