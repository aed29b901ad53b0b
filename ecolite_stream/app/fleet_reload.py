"""SIGHUP in a fleet: this machine reads its files again and applies changed stream settings."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ecolite_stream.app.build import stream_inputs
from ecolite_stream.app.reload import differs, in_words, needs_restart
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.errors import ConfigError
from ecolite_stream.fleet.config import Fleet
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.recognition.recognizer import check_fits


class FleetReloader:
    """Applies a changed configuration to a machine of a fleet.

    Streams whose settings changed are opened anew. Machines, cameras, their addresses and the times
    of leases are the same on all machines, so they cannot change on one.

    Args:
        fleet: the fleet that runs.
        config: current configuration of the machine.
        load: reads both again.
        spec: gives what the current bundle expects.
        change: sets the configuration of streams that are opened from now on.
        reopen: opens streams anew, if they are watched.
    """

    def __init__(
        self,
        fleet: Fleet,
        config: StreamConfig,
        load: Callable[[], tuple[Fleet, StreamConfig]],
        spec: Callable[[], ModelSpec],
        change: Callable[[StreamConfig], object],
        reopen: Callable[[Collection[str]], object],
    ) -> None:
        self._fleet = fleet
        self._config = config
        self._load = load
        self._spec = spec
        self._change = change
        self._reopen = reopen

    def reload(self) -> str:
        """Read and apply the configuration.

        Returns:
            The changes, in one line.

        Raises:
            EcoliteError: the configuration is wrong; the run is unchanged.
        """
        fleet, config = self._load()
        if fleet.digest != self._fleet.digest:
            raise ConfigError(
                "machines, cameras, their addresses or times of the fleet have changed; "
                "stop the fleet on all machines and start it again to change those"
            )
        wanted = {stream.name: stream for stream in stream_inputs(config)}
        for stream in wanted.values():
            check_fits(stream.settings or config, self._spec())
        before = {stream.name: stream for stream in stream_inputs(self._config)}
        changed = [name for name in wanted if differs(before[name], wanted[name])]
        restart = needs_restart(self._config, config)
        self._change(config)
        self._config = config
        self._reopen(changed)
        return in_words({"changed": changed, "restart to apply": restart})
