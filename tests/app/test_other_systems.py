"""Watching files, URLs and patterns needs nothing that only Linux or Unix has.

A process imports the libraries, which have wheels for each system, then hides what other systems
lack and runs the program. It is a stand-in for those systems: what their libraries do differently
does not show.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.runs import unused_port
from tests.conftest import ROOT, installed
from tests.videos import write_numbered_video

HIDDEN_MODULES = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty")
HIDDEN_NAMES = {
    "os": (
        *("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "SCHED_BATCH", "SCHED_OTHER"),
        *("WNOHANG", "chown", "fchmod", "fork", "forkpty", "getegid", "geteuid", "getgid"),
        *("getloadavg", "getpgid", "getpriority", "getuid", "killpg", "mkfifo", "nice"),
        *("openpty", "pidfd_open", "posix_fadvise", "posix_spawn", "pread", "register_at_fork"),
        *("sched_getaffinity", "sched_setaffinity", "sched_setscheduler", "sendfile"),
        *("setpriority", "setsid", "setuid", "statvfs", "sysconf", "uname", "waitid"),
    ),
    "signal": (
        *("SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGSTOP", "SIGTSTP"),
        *("SIGUSR1", "SIGUSR2", "alarm", "pthread_kill", "pthread_sigmask", "setitimer"),
        *("siginterrupt", "sigpending", "sigtimedwait", "sigwait", "sigwaitinfo"),
    ),
    "socket": ("AF_UNIX", "SO_REUSEPORT", "fromfd", "socketpair"),
    "select": ("epoll", "poll"),
    "time": ("clock_gettime", "clock_settime", "pthread_getcpuclockid"),
}
PROGRAM = """
import builtins, io, json, sys
hidden_modules, hidden_names, system, modules, words = json.loads(sys.argv[1])

import asyncio, concurrent.futures.process, ctypes, multiprocessing.connection, platform
import subprocess, tempfile
import av, click, cv2, numpy, openvino, prometheus_client, psutil, yaml, lazy_loader
import importlib
for optional in ("aiohttp.web", "onnxruntime", "paho.mqtt.client"):
    try:
        importlib.import_module(optional)
    except ImportError:
        pass

for name in hidden_modules:
    sys.modules[name] = None
for module, names in hidden_names.items():
    for name in names:
        if hasattr(sys.modules[module], name):
            delattr(sys.modules[module], name)
open_anything = io.open

def open_elsewhere(file, *args, **options):
    if str(file).startswith(("/proc", "/sys", "/dev")):
        raise FileNotFoundError(2, "no such file", str(file))
    return open_anything(file, *args, **options)

import sysconfig
sysconfig.get_config_vars()  # how this Python was built: another system has a file of its own
io.open = builtins.open = open_elsewhere
sys.platform = system

for module in modules:
    importlib.import_module(module)
from ecolite_stream.__main__ import main
sys.argv = ["ecolite-stream", *words]
main()
"""
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "ecolite_stream").rglob("*.py")
    if path.name != "__main__.py"
)


def run_elsewhere(system: str, *words: object) -> subprocess.CompletedProcess[str]:
    """The program on a system that is none of Linux's."""
    what = [HIDDEN_MODULES, HIDDEN_NAMES, system, MODULES, [str(word) for word in words]]
    return run("-c", PROGRAM, json.dumps(what))


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, words)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


SYSTEMS = pytest.mark.parametrize("system", ["win32", "darwin"])


@pytest.mark.timeout(300)
@SYSTEMS
def test_a_pattern_and_a_file_are_watched(system: str, tmp_path: Path) -> None:
    video = write_numbered_video(tmp_path / "a.mp4", 75)
    sources = ("--source", "pattern:seconds=3", "--source", video, "--json")
    words = (*sources, "--engine", installed("openvino"), "--json-file", tmp_path / "log.jsonl")
    elsewhere = run_elsewhere(system, *words)
    assert (elsewhere.returncode, elsewhere.stderr) == (0, "")
    here = run("-m", "ecolite_stream", *sources, "--engine", "openvino")
    assert here.returncode == 0
    assert labels(elsewhere.stdout) == labels(here.stdout)
    assert len(labels(here.stdout)) > 8
    assert (tmp_path / "log.jsonl").read_text().count("\n") >= len(labels(here.stdout))


@pytest.mark.timeout(300)
@SYSTEMS
def test_a_url_that_nobody_serves_is_a_line_and_3(system: str) -> None:
    url = f"rtsp://127.0.0.1:{unused_port()}/camera"
    words = ("--source", url, "--engine", installed("openvino"), "--no-reconnect")
    done = run_elsewhere(system, *words)
    assert (done.returncode, done.stdout) == (3, "")
    assert "connection refused" in done.stderr and len(done.stderr.splitlines()) == 1


def labels(printed: str) -> list[tuple[str, float, str, float]]:
    """(stream, time, label, score) of each prediction, in the order of streams and times."""
    lines = [json.loads(line) for line in printed.splitlines()]
    return sorted((one["stream"], one["time_s"], one["label"], one["score"]) for one in lines)
