"""Start one training in several processes, on this machine.

python -m trainer.launch --workers 2 -- --config configs/train/ucf101.yaml [--key value ...]

`msrun` starts the processes, and ends all when one fails. The output of worker 0 is printed; each
worker logs to --log-dir.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ecolite_stream.app.entry import run
from ecolite_stream.app.extras import program, require_extra
from ecolite_stream.errors import ConfigError, EcoliteError

POLL_S = 0.2
END_S = 10.0
DIED = re.compile(r"Worker process (?P<pid>\d+) exit with exception. Error code: (?P<code>-?\d+)")
OWN_PID = "is process {pid}\n"
REASON = re.compile(r"^error: .*$", re.MULTILINE)


class Msrun:
    """`msrun` with its workers: prints the output of worker 0, notices a worker that fails."""

    def __init__(self, command: list[str], log_dir: Path) -> None:
        self.log_dir = log_dir
        self.died: tuple[int, int] | None = None  # process, exit code
        self._shown_bytes = 0
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_environment()
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None  # it is a pipe
        for line in self._process.stdout:
            if found := DIED.search(line):
                self.died = (int(found["pid"]), int(found["code"]))

    def wait(self) -> int:
        """Wait until all end or one fails; return the exit code of msrun, or 1."""
        while self._process.poll() is None and not self.died:
            self._show()
            time.sleep(POLL_S)
        self._show()
        return 1 if self.died else self._process.wait()

    def _show(self) -> None:
        """Print the new output of worker 0, without MindSpore's own log lines."""
        path = self.log_dir / "worker_0.log"
        if not path.is_file():
            return
        with path.open("rb") as file:
            file.seek(self._shown_bytes)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._shown_bytes += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if not line.startswith("["):
                click.echo(line, err=not line.startswith("epoch: "))

    def end(self) -> None:
        """End all processes: when interrupted, msrun kills workers and scheduler."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def who_died(log_dir: Path, pid: int, code: int) -> str:
    """`worker 1 was killed by signal 9`, with its last error."""
    name, reason = f"a worker (process {pid})", ""
    for path in sorted(log_dir.glob("worker_*.log")):
        text = path.read_text(errors="replace")
        if OWN_PID.format(pid=pid) in text:
            name = path.stem.replace("_", " ")
            reason = (REASON.findall(text) or [""])[-1]
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"{name} {how}" + (f": {reason.removeprefix('error: ')}" if reason else "")


@contextmanager
def started(command: list[str], log_dir: Path) -> Iterator[Msrun]:
    """A running `msrun`; all its processes are ended on exit."""
    msrun = Msrun(command, log_dir)
    try:
        yield msrun
    finally:
        msrun.end()


def _environment() -> dict[str, str]:
    """Environment in which msrun's `python` is this one and MindSpore logs only errors."""
    folder = str(Path(sys.executable).parent)
    path = os.pathsep.join([folder, os.environ.get("PATH", "")])
    return {"GLOG_v": "3", **os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1))
@click.option(
    "--rank-table", type=click.Path(path_type=Path), help="Rank table of HCCL, on Ascend."
)
@click.option("--port", default=8118, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--log-dir",
    default=Path("runs/distributed"),
    show_default=True,
    type=click.Path(path_type=Path),
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- [TRAINING OPTION]...")
def main(
    workers: int, rank_table: Path | None, port: int, log_dir: Path, words: tuple[str, ...]
) -> None:
    """Train in several processes; options after -- go to trainer.train in each."""
    require_extra(program(), "mindspore", "train")
    if rank_table and not rank_table.is_file():
        raise ConfigError(
            f"rank table {rank_table} does not exist; name the JSON file of hccl_tools"
        )
    log_dir.mkdir(parents=True, exist_ok=True)
    for old in log_dir.glob("*.log"):
        old.unlink()
    command = [
        str(Path(sys.executable).with_name("msrun")),
        f"--worker_num={workers}",
        f"--local_worker_num={workers}",
        f"--master_port={port}",
        f"--log_dir={log_dir}",
        "--join=True",
        *([f"--rank_table_file={rank_table}"] if rank_table else []),
        *("python", "-m", "trainer.train", "--run_distribute", "true", *words),
    ]
    with started(command, log_dir) as msrun:
        code = msrun.wait()
        if msrun.died:
            raise EcoliteError(
                f"{who_died(log_dir, *msrun.died)}; the training is ended, its logs are in "
                f"{log_dir}; resume with --resume"
            )
    if code:
        raise EcoliteError(f"msrun ended with exit code {code}; see the logs in {log_dir}")


if __name__ == "__main__":
    run(main)
