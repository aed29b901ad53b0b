"""`ecolite-stream --store` and `ecolite-stream events`."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from ecolite_stream.app.events_command import parse_when
from ecolite_stream.errors import ConfigError
from tests.app.conftest import Command
from tests.web.history import history

pytest.importorskip("sqlalchemy")

pytestmark = pytest.mark.timeout(120)


def events(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ecolite_stream", "events", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_run_is_stored_and_searched(ecolite: Command, film: Path, tmp_path: Path) -> None:
    url, path = f"sqlite:///{tmp_path}/events.db", tmp_path / "c.yaml"
    path.write_text(
        f"events: {{enter: 0, leave: 0, min_fill: 0, ignore: []}}\nstore: {{url: '{url}'}}"
    )
    result = ecolite("--source", f"hall={film}", "--config", path, "--events", "--json")
    assert (result.exit_code, result.err) == (0, "")
    event_id, label = result.predictions[0]["event"], result.predictions[0]["label"]

    listed = events("--config", path, "--stream", "hall", "--label", label, "--json")
    assert listed.returncode == 0, listed.stderr
    (line,) = map(json.loads, listed.stdout.splitlines())
    assert (line["id"], line["state"], line["duration_s"]) == (event_id, "ended", 2.0)
    assert event_id in events("--store", url, "--since", "1h").stdout
    for nothing in (("--since", "2100-01-01"), ("--label", "none such"), ("--review", "wrong")):
        found = events("--store", url, *nothing)
        assert (found.returncode, found.stdout, found.stderr) == (0, "", "No events match.\n")
    found = events("--store", url, "--label", "none such", "--csv")
    assert (found.stdout.count("\n"), found.stderr) == (1, "No events match.\n")  # the head
    lost = events("--store", url, event_id)
    assert (lost.returncode, lost.stdout) == (2, "")
    assert f"to print an event, run ecolite-stream events show {event_id}" in lost.stderr

    assert events("--store", url, "review", event_id, "=sum(A1)", "--note", "a cat").returncode == 0
    assert events("--store", url, "keep", event_id).returncode == 0
    (row,) = csv.DictReader(io.StringIO(events("--store", url, "--csv").stdout))
    assert (row["review_label"], row["note"], row["keep"]) == ("'=sum(A1)", "a cat", "True")
    jpeg = tmp_path / "event.jpg"
    shown = events("--store", url, "show", event_id, "--picture", jpeg)
    assert json.loads(shown.stdout)["review"] == "label"
    assert jpeg.read_bytes()[:2] == b"\xff\xd8"
    assert events("--store", url, "show", event_id, "--picture", jpeg).returncode == 2

    assert events("--store", url, "delete", event_id).returncode == 0
    for command in (("show",), ("keep",), ("delete",), ("review", "right")):
        gone = events("--store", url, command[0], event_id, *command[1:])
        assert (gone.returncode, gone.stdout) == (1, "")
        assert gone.stderr.startswith(f"error: there is no event {event_id};")
        assert gone.stderr.count("\n") == 1


def test_deleting_deletes_the_clip_too(tmp_path: Path) -> None:
    url, ids = history(tmp_path, 4, pictures=False)
    clips = tmp_path / "clips"
    clips.mkdir()
    paths = [clips / f"{event_id}.mp4" for event_id in ids]
    for path in paths:
        path.write_bytes(b"clip")
    config = tmp_path / "c.yaml"
    config.write_text(f"store: {{url: '{url}'}}\nclips: {{folder: '{clips}'}}")
    done = events("--config", config, "delete", ids[0])
    assert (done.returncode, done.stderr, paths[0].exists()) == (0, "", False)
    done = events("--store", url, "delete", "--clips", clips, ids[1])
    assert (done.returncode, done.stderr, paths[1].exists()) == (0, "", False)
    done = events("--store", url, "delete", ids[2])
    assert (done.returncode, paths[2].exists()) == (0, True)
    assert done.stderr.startswith("the service that made the clips will delete them: 1; to delete")
    paths[3].unlink()
    (clips / paths[3].name).mkdir()  # what cannot be deleted
    failed = events("--store", url, "delete", "--clips", clips, ids[3])
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
    assert failed.stderr.startswith(
        "error: the events are deleted; clips that could not be deleted: 1 ("
    )


def test_following_prints_what_is_new(tmp_path: Path) -> None:
    from tests.store.making import anchor, began, ended, sink_at

    url = f"sqlite:///{tmp_path}/events.db"
    now_ms = round(1000 * time.time())
    place = anchor(zero_ms=now_ms)
    old, new = began(0.0, where=place), began(1.0, where=place)
    with sink_at(url, clock=time.time) as sink:
        sink.send(ended(old, where=place))
        while sink._rows:  # type: ignore[attr-defined]
            time.sleep(0.01)
        words = ["events", "--store", url, "--follow", "--json"]
        follower = subprocess.Popen(
            [sys.executable, "-m", "ecolite_stream", *words], stdout=subprocess.PIPE, text=True
        )
        assert follower.stdout is not None
        time.sleep(4)  # until it has looked once; later events are news in any case
        sink.send(new)
        assert json.loads(follower.stdout.readline())["state"] == "open"
        sink.send(ended(new, where=place))
        last = json.loads(follower.stdout.readline())
        assert (last["id"], last["state"]) == (new.id, "ended")
    follower.terminate()
    assert follower.wait(20) == 130


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "error: no store at "),
        (("--store", "mysql://u:secret@host/x"), "error: store is 'mysql://host/x'; expected"),
        (
            ("--store", "sqlite:////none/such.db"),
            "error: store: /none/such.db does not exist; check its path",
        ),
        (("--store", "sqlite:///:memory:"), "error: store is 'sqlite:///:memory:'; expected"),
        (
            ("--store", "postgresql+psycopg://u:secret@127.0.0.1:1/x"),
            "error: store: postgresql+psycopg://127.0.0.1:1/x: connection failed",
        ),
    ],
)
def test_stores_that_cannot_be_read_are_one_line(
    words: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))  # other tests may have left a store there
    done = events(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(message) and done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--since", "soon"), "'soon' is not a time; expected 2d"),
        (("--min-score", "2"), "min_score is 2.0; expected 0 to 1"),
        (("--review", "maybe"), "review is 'maybe'; expected none"),
        (("--json", "--csv"), "give --json or --csv, not both"),
    ],
)
def test_filters_that_make_no_sense(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    from ecolite_stream.store.database import Database

    url = f"sqlite:///{tmp_path}/events.db"
    Database(url, create=True).prepare()
    done = events("--store", url, *words)
    assert done.returncode == 2 and message in done.stderr


def test_times() -> None:
    assert parse_when("90m", 10_000_000) == 10_000_000 - 5_400_000
    assert parse_when("2d", 10**12) == 10**12 - 172_800_000
    assert parse_when("2026-11-28T12:00:00Z", 0) == 1_795_867_200_000
    local = datetime(2026, 11, 28).astimezone().timestamp()
    assert parse_when("2026-11-28", 0) == round(1000 * local)
    for wrong in ("", "2", "-1d", "tomorrow", "9999999999d", "2026-13-01"):
        with pytest.raises(ConfigError, match="is not a time"):
            parse_when(wrong, 0)


def test_check_config_names_the_store(ecolite: Command, film: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    fine = ecolite("--source", film, "--store", url, "--check-config")
    assert f"events to sqlite:///{tmp_path}/events.db" in fine.out
    assert not (tmp_path / "events.db").exists()
    for wrong in ("mysql://host/x", f"sqlite:///{tmp_path}/none/events.db", "events.db"):
        refused = ecolite("--source", film, "--store", wrong, "--check-config")
        assert refused.exit_code == 2 and refused.err.count("\n") == 1


def test_a_service_starts_though_its_database_is_away(ecolite: Command, film: Path) -> None:
    url = "postgresql+psycopg://u:secret@127.0.0.1:1/x"
    result = ecolite("--source", film, "--store", url, "--json")
    assert result.exit_code == 0 and len(result.predictions) == 5
    assert "Connection refused" in result.err and "trying again until it works" in result.err
    assert "secret" not in result.err
