"""Record the inputs and outputs of a run, for `ecolite-stream replay`.

A folder with

- `run.json`: the model, the engine and the settings
- `frames.png`: every picture that was encoded, one PNG after the other: lossless squares
  (S, S, 3) uint8 BGR, as the network received them
- `rounds.jsonl`: a line for each round of the engine: its pictures, in order
- `said.jsonl`: every prediction and event, as `--json-file` writes them
"""

from __future__ import annotations

import dataclasses
import json
import logging
from io import FileIO
from pathlib import Path
from typing import Any

import cv2

from ecolite_stream.errors import ConfigError
from ecolite_stream.model.preprocess import Preprocessing, denormalize
from ecolite_stream.sinks.base import Sink
from ecolite_stream.types import EngineBatch, Event, Prediction, Sample, Sent

_log = logging.getLogger(__name__)

RUN, FRAMES, ROUNDS, SAID = "run.json", "frames.png", "rounds.jsonl", "said.jsonl"
SCHEMA_VERSION = 2
"""2 has `anchors` and `quiet` in its rounds; ids and times of day come from those."""


class RecordSink(Sink):
    """Records rounds, predictions and events in a new folder.

    At `max_bytes`, or on a full disk, it logs a warning and stops recording; the recorded part can
    be replayed. A run without a round, as when the engine cannot be opened, leaves no folder.

    Args:
        folder: created, or empty.
        facts: of the run, for `replay`; plain containers.
        how: preprocessing of the pictures.
        max_bytes: of all files together.

    Raises:
        ConfigError: the folder holds something, or cannot be written.
    """

    takes = (Prediction, Event, EngineBatch)
    wants_all = True

    def __init__(
        self, folder: Path, facts: dict[str, Any], how: Preprocessing, max_bytes: int
    ) -> None:
        self._folder = folder
        self._how = how
        self._left = max_bytes
        self._offset = 0  # in FRAMES
        self._expected = 0  # number of the next round
        self._is_empty = True
        self._made_folder = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            check_is_new(folder)
            text = json.dumps({"schema_version": SCHEMA_VERSION, **facts}, indent=2)
            with (folder / RUN).open("x", encoding="utf-8") as run:  # another run may be starting
                run.write(text + "\n")
            self._files = {name: FileIO(folder / name, "x") for name in (FRAMES, ROUNDS, SAID)}
        except OSError as error:
            raise ConfigError(
                f"{folder}: cannot be recorded to: {error.strerror}; name another folder"
            ) from error

    def send(self, output: Sent) -> None:
        if not self._files:
            return
        try:
            if isinstance(output, EngineBatch):
                self._keep(output)
            else:
                self._write(SAID, _line(output.as_dict()))
        except OSError as error:  # half a round cannot be replayed: stop
            self._give_up(f"{self._folder} cannot be written: {error.strerror}")
        if self._left <= 0:
            self._give_up(f"{self._folder} has reached its limit, record.max_bytes")

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        if self._files and self._is_empty:
            for name in (RUN, *self._files):
                (self._folder / name).unlink()
            if self._made_folder:
                self._folder.rmdir()
        self._files = {}

    def _keep(self, current: EngineBatch) -> None:
        if current.number != self._expected:
            lost = current.number - self._expected
            _log.warning("%s: %d rounds came too fast to be recorded", self._folder, lost)
        self._expected = current.number + 1
        samples = [self._keep_sample(sample) for sample in current.samples]
        facts: dict[str, Any] = {
            "round": current.number,
            "samples": samples,
            "ended": current.ended,
        }
        if current.quiet:
            facts["quiet"] = current.quiet
        if current.anchors:
            facts["anchors"] = [dataclasses.asdict(anchor) for anchor in current.anchors]
        self._write(ROUNDS, _line(facts))

    def _keep_sample(self, sample: Sample) -> dict[str, Any]:
        png = b""
        if sample.image is not None:
            png = cv2.imencode(".png", denormalize(sample.image, self._how))[1].tobytes()
        self._write(FRAMES, png)
        at, self._offset = self._offset, self._offset + len(png)
        optional: dict[str, Any] = {
            "view": sample.view,
            "box": sample.box and dataclasses.astuple(sample.box),
            "still_s": sample.still_s,
            "reused": sample.image is None,
            "ends_view": sample.ends_view,
        }
        return {
            "stream": sample.stream,
            "frame": sample.frame,
            "time_s": sample.time_s,
            "predicts": sample.predicts,
            "starts_afresh": sample.reset_state,
            "at": at,
            "bytes": len(png),
            **{key: value for key, value in optional.items() if value},
        }

    def _write(self, name: str, content: bytes) -> None:
        written = 0
        while written < len(content):
            written += self._files[name].write(content[written:])
            self._is_empty = False
        self._left -= len(content)

    def _give_up(self, why: str) -> None:
        self.close()
        _log.warning("%s; nothing more is recorded", why)


def check_is_new(folder: Path) -> None:
    """Raise a ConfigError if the folder of a record holds something, or cannot be read."""
    try:
        holds_something = folder.is_dir() and any(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}; record into another folder") from error
    if holds_something:
        raise ConfigError(f"{folder} is not empty; record into a new folder")


def _line(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts).encode("ascii") + b"\n"
