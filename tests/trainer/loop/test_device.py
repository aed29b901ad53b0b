"""The device of a training or an evaluation, named as MindSpore names it."""

from __future__ import annotations

import mindspore as ms
import pytest

from ecolite_stream.app.entry import run
from ecolite_stream.engines import mindspore
from ecolite_stream.errors import ConfigError, EngineError
from trainer import evaluate
from trainer.loop.device import use_device


@pytest.mark.parametrize("text", ["", "TPU", "Ascend:", "GPU:x", "CPU:0", "GPU:-1"])
def test_what_is_no_device_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"device is .*; expected cpu, ascend"):
        use_device(text)


def test_the_device_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(ms, "set_device", lambda *what: asked.append(what))
    monkeypatch.setattr(mindspore, "require_ascend", lambda index: None)
    for text in ("CPU", "Ascend", "GPU:3"):
        use_device(text)
    assert asked == [("Ascend",), ("GPU", 3)]  # a CPU it is already


def test_a_device_that_is_not_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*what: object) -> None:
        raise RuntimeError("Unsupported device target GPU. Please check\n\n----\n- Call Stack\n")

    monkeypatch.setattr(ms, "set_device", refuse)
    with pytest.raises(SystemExit) as ended:
        run(evaluate.main, ["any.ckpt", "--clips", "any", "--device", "gpu:1"])
    assert ended.value.code == EngineError.exit_code
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "mindspore cannot use device gpu:1: Unsupported device target GPU" in told
