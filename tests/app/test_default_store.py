"""Which runs store events without being asked to, and where."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from ecolite_stream.app import default_store
from ecolite_stream.app.cli import merge
from ecolite_stream.app.default_store import with_default_store
from ecolite_stream.app.sinks import RunConfig
from ecolite_stream.config.schema import WebConfig
from ecolite_stream.sinks.clips import ClipsConfig
from ecolite_stream.store.config import StoreConfig


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    return tmp_path / "ecolite-stream" / "events.db"


def url(config: RunConfig) -> str | None:
    return with_default_store(config).section(StoreConfig).url


@pytest.mark.parametrize(
    "config", [RunConfig(web=WebConfig("8080")), RunConfig(clips=ClipsConfig(Path("clips")))]
)
def test_a_page_or_clips_store_events(config: RunConfig, state: Path) -> None:
    assert url(config) == f"sqlite:///{state}"
    assert url(dataclasses.replace(config, store=StoreConfig(url="sqlite:///own.db"))) == (
        "sqlite:///own.db"
    )
    assert url(merge(config, {"no_store": True})) is None


def test_other_runs_store_none() -> None:
    assert url(RunConfig()) is None


def test_a_service_has_a_state_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "service"))
    assert url(RunConfig(web=WebConfig("8080"))) == f"sqlite:///{tmp_path}/service/events.db"


def test_without_the_extra_or_the_right_to_write_it_goes_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = RunConfig(web=WebConfig("8080"))
    with monkeypatch.context() as patch:
        patch.setattr(default_store, "find_spec", lambda name: None)
        assert url(config) is None
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert url(config) is None
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert url(config) is None
