"""`ecolite-stream fleet`: cameras on many machines."""

from __future__ import annotations

import dataclasses
import json
import logging
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import click

from ecolite_stream.app.check_config import describe_run
from ecolite_stream.app.extras import require_extra
from ecolite_stream.app.fleet_ray import check_private, start_on_ray, stop_on_ray
from ecolite_stream.app.fleet_run import check_machine, open_store, read_fleet, run_machine
from ecolite_stream.config.printable import printable
from ecolite_stream.errors import ConfigError
from ecolite_stream.fleet.config import Fleet

_config_option = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    help="YAML file of the fleet: machines, constraints, configuration of the streams.",
)
_address_option = click.option(
    "--address", metavar="auto|ray://HOST:PORT", help="Start it on a Ray cluster. [this machine]"
)


@click.group(invoke_without_command=True, subcommand_metavar="[COMMAND ...]")
@_config_option
@click.option("--machine", metavar="NAME", help="Run as this machine. [the host name]")
@_address_option
@click.option("--i-know", is_flag=True, help="Use a Ray cluster that is not on a private network.")
@click.option("--check-config", is_flag=True, help="Check the configuration; run nothing.")
@click.option("-v", "--verbose", is_flag=True, help="Log every state change of a stream.")
@click.pass_context
def fleet(
    context: click.Context,
    path: Path | None,
    machine: str | None,
    address: str | None,
    i_know: bool,
    check_config: bool,
    verbose: bool,
) -> None:
    """Watch cameras on many machines; run this on each of them.

    The machines divide the cameras among themselves by leases in the store. A machine that is lost
    loses its cameras to the others. With --address, Ray starts the processes on all machines; run
    this once.
    """
    if context.invoked_subcommand is not None:
        return
    if path is None:
        raise click.UsageError("name the fleet's file: ecolite-stream fleet --config fleet.yaml")
    if verbose:
        logging.getLogger("ecolite_stream").setLevel(logging.INFO)
    checked, config = read_fleet(path)
    if check_config:
        lines = [*_described(checked), *describe_run(config)]
        click.echo("\n".join(map(printable, lines)))
        return
    if address is not None:
        if machine is not None:
            raise click.UsageError("--address starts all machines; leave out --machine")
        require_extra("fleet --address", "ray", "fleet")
        check_private(address, i_know)
        start_on_ray(path.absolute(), address)
        click.echo(f"fleet {checked.config.name} is started; see ecolite-stream fleet status")
        return
    name = machine or platform.node()
    check_machine(checked, name)
    run_machine(checked, config, name, load=lambda: read_fleet(path), on_sighup=True)


@fleet.command()
@_config_option
@_address_option
@click.option("--i-know", is_flag=True, help="Use a Ray cluster that is not on a private network.")
def stop(path: Path | None, address: str | None, i_know: bool) -> None:
    """Stop a fleet that was started with --address; stop others with SIGTERM on each machine."""
    if path is None or address is None:
        raise click.UsageError("give both: ecolite-stream fleet stop --config ... --address ...")
    require_extra("fleet --address", "ray", "fleet")
    check_private(address, i_know)
    stop_on_ray(read_fleet(path)[0], address)


@fleet.command("apply")
@_config_option
def apply_(path: Path | None) -> None:
    """Change machines, cameras and times of a running fleet, on all machines at one moment.

    Every machine that is up checks the new definition first. Where one refuses it or does not
    answer, nothing changes, with exit code 2. Users and passwords are not sent: each machine takes
    them from its own configuration.
    """
    if path is None:
        raise click.UsageError("name the fleet's file: ecolite-stream fleet apply --config ...")
    checked, config = read_fleet(path)
    with open_store(config, create=False) as database:
        from ecolite_stream.app.fleet_apply import apply_fleet
        from ecolite_stream.fleet.ledger import Ledger
        from ecolite_stream.fleet.proposals import Proposals

        changes = apply_fleet(checked, Proposals(Ledger(database, checked.config.name)))
    _report(f"fleet {checked.config.name}: {changes}")


@fleet.command("set-bundle")
@click.argument("bundle", type=click.Path(path_type=Path))
@_config_option
@click.option(
    "--on",
    "machines",
    multiple=True,
    metavar="MACHINE",
    help="Change only this machine; repeat for more.",
)
def set_bundle(bundle: Path, path: Path | None, machines: tuple[str, ...]) -> None:
    """Change running machines to a bundle, one after the other, without a restart.

    The bundle travels through the store. Each machine checks its golden numbers first; the first
    that fails keeps its bundle, as do those after it, with exit code 4. A machine that is not up
    changes when it starts.
    """
    if path is None:
        raise click.UsageError(
            "name the fleet's file: ecolite-stream fleet set-bundle --config ..."
        )
    checked, config = read_fleet(path)
    if config.bundle is not None:
        raise ConfigError(f"{checked.config.config}: remove bundle; a restart would return to it")
    with open_store(config, create=False) as database:
        from ecolite_stream.app.fleet_bundle import roll_out
        from ecolite_stream.fleet.ledger import Ledger
        from ecolite_stream.fleet.rollout import Rollout
        from ecolite_stream.fleet.versions import current_fleet

        ledger = Ledger(database, checked.config.name)
        with ledger.begin() as table:
            checked = current_fleet(table, checked) or checked
        rollout = Rollout(ledger)
        roll_out(checked, rollout, bundle, machines, _report, time.sleep)


def _report(line: str) -> None:
    click.echo(printable(line))


@fleet.command()
@_config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(path: Path | None, as_json: bool) -> None:
    """Print the machines with their cameras, and the cameras that no machine watches."""
    if path is None:
        raise click.UsageError("name the fleet's file: ecolite-stream fleet status --config ...")
    checked, config = read_fleet(path)
    with open_store(config, create=False) as database:
        from ecolite_stream.fleet.ledger import Ledger
        from ecolite_stream.fleet.status import read_status, rollout_lines, table_lines

        with Ledger(database, checked.config.name).begin() as table:
            found = read_status(checked, table)
    if as_json:
        facts = {
            "machines": [one.as_dict() for one in found.machines],
            "cameras": [dataclasses.asdict(one) for one in found.cameras],
            "not_watched": found.unwatched,
            "rollout": [dataclasses.asdict(turn) for turn in found.rollout],
        }
        click.echo(json.dumps(facts))
        return
    lines = [*table_lines(found), *rollout_lines(found.rollout)]
    click.echo("\n".join(map(printable, lines)))


def _described(checked: Fleet) -> Iterator[str]:
    config = checked.config
    room = sum(one.capacity for one in config.machines.values())
    load = sum(camera.load for camera in checked.cameras)
    parts = [
        f"{len(config.machines)} machines with room for {room:g}",
        f"{len(checked.cameras)} cameras with a load of {load:g}",
        f"leases of {config.lease_s:g} s",
    ]
    if load > room:
        parts.append(f"too little room: rates fall to {room / load:.0%} or less")
    yield f"fleet {config.name}: {'; '.join(parts)}"
    for camera in checked.cameras:
        needs = camera.needs
        words = [f"on {', '.join(needs.on)}"] if needs.on else []
        words += [f"at {', '.join(needs.sites)}"] if needs.sites else []
        words += [f"with {one}" for one in (needs.engine, needs.device) if one]
        if words:
            yield f"{camera.name}: only {'; '.join(words)}"
