"""Where a run keeps what people set on its page, and that the next run has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecolite_stream.app.build import stream_inputs
from ecolite_stream.app.page_files import with_page_files
from ecolite_stream.app.sinks import RunConfig
from ecolite_stream.config.schema import StreamConfig, WebConfig
from tests.app.conftest import Command

DRAWN = "streams: {gate: {views: [{region: door, box: [0.1, 0.2, 0.3, 0.5]}, whole]}}"


def test_files_stand_beside_the_configuration_or_in_the_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    monkeypatch.setenv("STATE_DIRECTORY", str(state))
    path = tmp_path / "cams.yaml"
    web = with_page_files(StreamConfig(), path).web
    assert (web.views_file, web.alerts_file) == (
        tmp_path / "cams.views.yaml",
        tmp_path / "cams.alerts.yaml",
    )
    assert with_page_files(StreamConfig(), None).web.views_file is None  # no page, no file
    alone = with_page_files(StreamConfig(web=WebConfig("8080")), None).web
    assert alone.views_file == state / "views.yaml"
    own = StreamConfig(web=WebConfig("8080", views_file=tmp_path / "mine.yaml"))
    assert with_page_files(own, path).web.views_file == tmp_path / "mine.yaml"
    monkeypatch.setattr("os.access", lambda *_: False)  # the folder cannot be written
    found = with_page_files(StreamConfig(), path).web.views_file
    assert found is not None and found.parent == state
    assert found.name.startswith("cams-") and found.name.endswith(".views.yaml")
    (tmp_path / "cams.views.yaml").write_text("")
    assert with_page_files(StreamConfig(), path).web.views_file == tmp_path / "cams.views.yaml"


def test_drawn_views_are_those_of_the_next_run(ecolite: Command, tmp_path: Path) -> None:
    path = tmp_path / "cams.yaml"
    text = 'source:\n- {name: gate, url: "pattern:seconds=2", views: [center]}\n'
    path.write_text(text)
    before = ecolite("--config", path, "--check-config")
    assert "views center" in before.out
    (tmp_path / "cams.views.yaml").write_text(DRAWN)
    after = ecolite("--config", path, "--check-config")
    assert (after.exit_code, "views door, whole" in after.out) == (0, True)
    assert f"views as drawn in {tmp_path / 'cams.views.yaml'}" in after.out
    assert path.read_text() == text
    config = RunConfig(
        source=("gate=pattern:seconds=2",), web=WebConfig(views_file=tmp_path / "cams.views.yaml")
    )
    (stream,) = stream_inputs(config)
    assert stream.settings is not None and stream.configured is not None
    assert (len(stream.settings.views), stream.configured.views) == (2, ())


def test_a_file_that_is_wrong_is_one_line(ecolite: Command, tmp_path: Path) -> None:
    path = tmp_path / "cams.yaml"
    path.write_text('source: ["gate=pattern:seconds=1"]\n')
    (tmp_path / "cams.views.yaml").write_text("streams: {gate: {views: [nowhere]}}")
    for words in (("--check-config",), ()):
        result = ecolite("--config", path, *words)
        assert (result.exit_code, result.err.count("\n")) == (2, 1)
        assert "cams.views.yaml: streams: gate: views has 'nowhere'" in result.err
