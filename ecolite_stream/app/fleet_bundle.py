"""Change the bundle of a fleet's machines, one after the other."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ecolite_stream.app.control import PipelineControl
from ecolite_stream.errors import BundleError, ConfigError, EcoliteError, one_line
from ecolite_stream.fleet.config import Fleet
from ecolite_stream.fleet.rollout import CHANGING, DONE, FAILED, WAITING, Rollout
from ecolite_stream.model.bundle import read_bundle
from ecolite_stream.store.database import StoreError

_log = logging.getLogger(__name__)


class RolloutFollower:
    """Changes the bundle of this machine when it is its turn.

    Args:
        rollout: of the fleet.
        machine: name of this machine.
        control: of its pipeline.
    """

    def __init__(self, rollout: Rollout, machine: str, control: PipelineControl) -> None:
        self._rollout = rollout
        self._machine = machine
        self._control = control
        self._is_new = True
        self._digest: str | None = None
        self._ended: tuple[str | None] | None = None

    def tick(self) -> None:
        """Change if it is this machine's turn.

        Raises:
            StoreError: the store cannot be used; the next call goes on.
        """
        if self._is_new:
            self._fail_what_was_cut_off()
            self._is_new = False
        if self._digest is None:
            self._digest = self._rollout.take_turn(self._machine)
        if self._digest is None:
            return
        if self._ended is None:
            self._ended = (self._change(self._digest),)
        self._rollout.end_turn(self._machine, self._digest, *self._ended)
        self._digest = self._ended = None

    def _change(self, digest: str) -> str | None:
        """Change; return why that failed."""
        try:
            with tempfile.TemporaryDirectory(prefix="ecolite-") as scratch:
                self._rollout.fetch(digest, Path(scratch))
                self._control.add_version(Path(scratch))
            self._control.set_bundle(digest)
        except StoreError:
            raise
        except (EcoliteError, OSError) as error:
            _log.error("fleet: bundle %s is not used: %s", digest[:12], one_line(error))
            return one_line(error)
        except Exception as error:  # the others must not follow
            _log.exception("fleet: unexpected error; report it")
            return f"{type(error).__name__}: {one_line(error)}"
        _log.warning("fleet: changed to bundle %s", digest[:12])
        return None

    def _fail_what_was_cut_off(self) -> None:
        for turn in self._rollout.turns():
            if turn.machine == self._machine and turn.state == CHANGING:
                reason = "its process ended while it changed"
                self._rollout.end_turn(self._machine, turn.digest, reason)


def roll_out(
    fleet: Fleet,
    rollout: Rollout,
    path: Path,
    machines: Sequence[str],
    report: Callable[[str], object],
    wait: Callable[[float], object],
) -> None:
    """Publish a bundle, and wait until the machines that are up have changed to it.

    Args:
        fleet: the fleet.
        rollout: of the fleet.
        path: the bundle.
        machines: names, in this order; empty takes all.
        report: gets a line for each machine that has changed.
        wait: for so many seconds.

    Raises:
        BundleError: it is no bundle, or a machine could not use it; those after it keep theirs.
        ConfigError: a machine is unknown or named twice, or another bundle is being rolled out.
    """
    bundle = read_bundle(path)
    unknown = [name for name in machines if name not in fleet.config.machines]
    if unknown or len(set(machines)) < len(machines):
        known = ", ".join(fleet.config.machines)
        raise ConfigError(
            f"--on {', '.join(machines)}: expected names of machines, each once; there are {known}"
        )
    try:
        rollout.publish(bundle)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}; check its files") from error
    rollout.begin(bundle.digest, list(machines) or list(fleet.config.machines))
    reported: set[str] = set()
    while True:
        pending = rollout.pending()
        turns = rollout.turns()
        for turn in turns:
            if turn.state == DONE and turn.machine not in reported:
                reported.add(turn.machine)
                report(f"{turn.machine}: changed to bundle {bundle.digest[:12]}")
        if not pending:
            break
        wait(fleet.config.tick_s)
    for turn in turns:
        if turn.state in (FAILED, CHANGING):
            raise BundleError(
                f"{turn.machine} cannot use bundle {bundle.digest[:12]}: "
                f"{turn.message or 'it was lost while it changed'}; those after it keep theirs"
            )
    for turn in turns:
        if turn.state == WAITING:
            report(f"{turn.machine}: not up; changes when it starts")
