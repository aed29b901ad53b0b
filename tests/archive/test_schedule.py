"""Which worker gets which recording, and what becomes of those that fail: with a fake crew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ecolite_stream.archive.schedule import Limits, Schedule
from ecolite_stream.archive.tasks import (
    Broken,
    Failed,
    Lost,
    Position,
    Ready,
    Report,
    Results,
    Task,
)
from ecolite_stream.archive.workers import Worker
from ecolite_stream.errors import EngineError

Answer = Callable[[Task, int], list[Report]]
"""What a worker reports of a task, by how often it has been begun; nothing is a hang."""


def task(name: str, size_bytes: int = 1) -> Task:
    return Task(Path("/v") / name, name, size_bytes, 0, "0" * 32)


class FakeCrew:
    """Workers that answer at the next wait, which takes a second of a clock of its own."""

    workers = 2

    def __init__(self, answer: Answer, opens: Sequence[Report] = (Ready(),)) -> None:
        self.answer = answer
        self.opens = opens
        self.now_s = 0.0
        self.hired = 0
        self.begun: list[str] = []
        self.running: set[int] = set()

    def hire(self, number: int) -> FakeWorker:
        self.hired += 1
        return FakeWorker(self, self.hired)

    def wait(self, workers: Sequence[Worker], timeout_s: float) -> None:
        self.now_s += 1.0

    def close(self) -> None:
        pass


class FakeWorker:
    def __init__(self, crew: FakeCrew, name: int) -> None:
        self._crew = crew
        self._name = name
        self._reports: list[Report] = list(crew.opens)
        crew.running.add(name)

    def begin(self, task: Task) -> None:
        assert not self._reports
        self._crew.begun.append(task.name)
        self._reports = self._crew.answer(task, self._crew.begun.count(task.name))

    def reports(self) -> list[Report]:
        reports, self._reports = self._reports, []
        return reports

    def stop(self) -> None:
        self._crew.running.discard(self._name)


class Heard:
    """A listener."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self.ticks = 0

    def finished(self, task: Task, results: Results) -> None:
        self.done.append(task.name)

    def gave_up(self, task: Task, reason: str) -> None:
        self.failed.append((task.name, reason))

    def progress(self) -> None:
        self.ticks += 1


DONE = Results(b"", b"")


def run(
    answer: Answer, names: str = "abcde", workers: int = 2, limits: Limits | None = None
) -> tuple[FakeCrew, Heard]:
    crew, heard = FakeCrew(answer), Heard()
    tasks = [task(name) for name in names]
    Schedule(tasks, crew, workers, heard, limits, lambda: crew.now_s).run()
    assert not crew.running
    return crew, heard


def test_every_recording_is_recognized_once() -> None:
    crew, heard = run(lambda task, count: [Position(0.0), DONE])
    assert sorted(heard.done) == list("abcde")
    assert sorted(crew.begun) == list("abcde")
    assert (crew.hired, heard.failed) == (2, [])
    assert heard.ticks > 1


def test_no_more_workers_than_recordings() -> None:
    assert run(lambda task, count: [DONE], "a", workers=8)[0].hired == 1


def test_the_longest_come_first() -> None:
    crew = FakeCrew(lambda task, count: [DONE])
    tasks = [task("small", 1), task("large", 9), task("medium", 5)]
    Schedule(tasks, crew, 1, Heard(), clock=lambda: crew.now_s).run()
    assert crew.begun == ["large", "medium", "small"]


@pytest.mark.parametrize("report", [Failed("odd"), Lost("its worker was killed by SIGKILL")])
def test_what_fails_once_is_tried_again_after_the_others(report: Report) -> None:
    crew, heard = run(lambda task, n: [report] if (task.name, n) == ("a", 1) else [DONE])
    assert sorted(heard.done) == list("abcde")
    assert crew.begun[0] == crew.begun[-1] == "a"
    assert heard.failed == []
    assert crew.hired == (3 if isinstance(report, Lost) else 2)


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        ([Failed("odd")], "odd"),
        ([Lost("its worker was killed by SIGKILL")], "its worker was killed by SIGKILL"),
        ([], "hangs: no frame for 5 s"),
    ],
)
def test_what_fails_always_costs_nobody_else_anything(report: list[Report], reason: str) -> None:
    limits = Limits(tries=3, silent_s=5)
    crew, heard = run(lambda task, n: report if task.name == "b" else [DONE], limits=limits)
    assert sorted(heard.done) == list("acde")
    assert heard.failed == [("b", reason)]
    assert crew.begun.count("b") == 3
    assert len(crew.begun) == 7


def test_a_worker_that_moves_does_not_hang() -> None:
    """It reports a frame in every second for longer than the limit."""

    class Slow(FakeWorker):
        left = 20

        def reports(self) -> list[Report]:
            if self._crew.begun and self.left:
                self.left -= 1
                return [Position(float(self.left))] if self.left else [DONE]
            return super().reports()

    class SlowCrew(FakeCrew):
        def hire(self, number: int) -> FakeWorker:
            super().hire(number)
            return Slow(self, self.hired)

    crew, heard = SlowCrew(lambda task, count: []), Heard()
    Schedule([task("a")], crew, 1, heard, Limits(silent_s=5), lambda: crew.now_s).run()
    assert (heard.done, heard.failed) == (["a"], [])


def test_a_model_that_cannot_be_opened_ends_the_run() -> None:
    crew = FakeCrew(lambda task, count: [DONE], opens=[Broken(EngineError("no such device"))])
    with pytest.raises(EngineError, match="no such device"):
        Schedule([task("a"), task("b")], crew, 2, Heard(), clock=lambda: crew.now_s).run()
    assert not crew.running


def test_workers_that_die_while_they_open_the_model_end_the_run() -> None:
    crew, heard = FakeCrew(lambda task, count: [DONE], opens=[Lost("crash")]), Heard()
    with pytest.raises(EngineError, match="could not open the model: crash"):
        Schedule([task("a")], crew, 1, heard, clock=lambda: crew.now_s).run()
    assert crew.hired == 3


def test_a_worker_that_never_opens_the_model_is_replaced() -> None:
    crew = FakeCrew(lambda task, count: [DONE], opens=[])
    limits = Limits(open_s=5)
    with pytest.raises(EngineError, match="opens no engine within 5 s"):
        Schedule([task("a")], crew, 1, Heard(), limits, lambda: crew.now_s).run()


def test_results_that_cannot_be_written_end_the_run_and_all_workers() -> None:
    class Full(Heard):
        def finished(self, task: Task, results: Results) -> None:
            raise OSError("disk full")

    crew = FakeCrew(lambda task, count: [DONE])
    with pytest.raises(OSError, match="disk full"):
        Schedule([task("a"), task("b")], crew, 2, Full(), clock=lambda: crew.now_s).run()
    assert not crew.running
