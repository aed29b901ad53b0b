"""Rules that are made, changed and muted on the page."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecolite_stream.errors import ConfigError
from ecolite_stream.sinks import alert_book
from ecolite_stream.sinks.alert_book import MOST_RULES, AlertBook
from ecolite_stream.sinks.alert_rules import AlertRule, AlertTarget, HoursConfig
from ecolite_stream.sinks.alerts import AlertsConfig, AlertSink
from ecolite_stream.sinks.mqtt import MqttConfig
from tests.sinks.test_alerts import BEGAN_S, EVENT, rule

PHONE = AlertTarget("phone", command=("true",))


def page_rule(name: str = "night", **how: Any) -> AlertRule:
    return AlertRule(name, target="phone", **how)


def book_at(path: Path | None, now_s: list[float] | None = None) -> AlertBook:
    clock = (lambda: BEGAN_S) if now_s is None else (lambda: now_s[0])
    return AlertBook([rule(name="fixed")], [PHONE], path, clock)


def test_a_rule_of_the_page_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "c.alerts.yaml"
    hours = HoursConfig(("fri", "sat"), "22:00", "06:00", "Europe/Berlin")
    made = page_rule(streams=("yes",), labels=("run",), min_score=0.8, hours=(hours,), min_s=3)
    book = book_at(path)
    state = book.put(made)
    assert (state.own, state.rule.command) == (True, ("true",))
    assert "true" not in path.read_text()  # the target is the configuration's
    again = book_at(path)
    assert again.states() == book.states()
    assert [one.rule.name for one in again.states()] == ["fixed", "night"]
    again.put(dataclasses.replace(made, min_s=5.0))
    again.remove("night")
    assert [one.rule.name for one in book_at(path).states()] == ["fixed"]


def test_muting_lasts_and_ends(tmp_path: Path) -> None:
    path, now_s = tmp_path / "c.alerts.yaml", [BEGAN_S]
    book = book_at(path, now_s)
    assert book.mute("fixed", 30).is_muted(now_s[0])
    sink = AlertSink(book, MqttConfig(), clock=lambda: now_s[0])
    assert sink._due(EVENT) == []
    later = book_at(path, now_s)  # after a restart
    assert later.active() == []
    now_s[0] += 30 * 60
    assert [one.name for one in later.active()] == ["fixed"]
    assert len(sink._due(dataclasses.replace(EVENT, id="e2"))) == 1
    assert book.states()[0].fired_s == now_s[0]
    book.mute("fixed", 30)
    book.mute("fixed", 0)
    assert book.active()
    for minutes in (-1, 1e9, float("nan")):
        with pytest.raises(ConfigError, match="minutes is"):
            book.mute("fixed", minutes)


def test_a_rule_that_is_made_meanwhile_sends(tmp_path: Path) -> None:
    book = book_at(tmp_path / "a.yaml")
    sink = AlertSink(book, MqttConfig(), clock=lambda: BEGAN_S)
    book.put(page_rule(labels=("wave2",)))
    assert len(sink._due(EVENT)) == 2
    book.remove("night")
    assert len(sink._due(dataclasses.replace(EVENT, id="e2", stream="yard"))) == 1


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"target": "siren"}, "no target 'siren'; targets: fixed, phone"),
        ({"target": None, "command": ("rm", "-rf", "/")}, "need a target of the configuration"),
        ({"command": ("rm",)}, "need a target of the configuration"),
        ({"webhook": "http://evil.example"}, "need a target of the configuration"),
        ({"name": "fixed"}, "is in the configuration file; change it there"),
    ],
)
def test_rules_that_the_page_cannot_make(tmp_path: Path, how: dict[str, Any], words: str) -> None:
    path = tmp_path / "a.yaml"
    book = book_at(path)
    with pytest.raises(ConfigError, match=words):
        book.put(dataclasses.replace(page_rule(), **how))
    assert not path.exists()


def test_what_cannot_be_removed_or_muted(tmp_path: Path) -> None:
    book = book_at(tmp_path / "a.yaml")
    with pytest.raises(KeyError):
        book.remove("none such")
    with pytest.raises(KeyError):
        book.mute("none such", 5)
    with pytest.raises(ConfigError, match="remove it there"):
        book.remove("fixed")
    with pytest.raises(ConfigError, match=r"set web\.alerts_file"):
        book_at(None).mute("fixed", 5)
    (tmp_path / "file").write_text("")
    lost = book_at(tmp_path / "file" / "a.yaml")
    with pytest.raises(OSError):
        lost.put(page_rule())
    assert len(lost.states()) == 1  # what cannot be kept does not count
    rules = [{"name": str(n), "target": "phone"} for n in range(MOST_RULES)]
    (tmp_path / "full.yaml").write_text(yaml.safe_dump({"rules": rules}))
    full = book_at(tmp_path / "full.yaml")
    with pytest.raises(ConfigError, match="remove one first"):
        full.put(page_rule())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rules: [{name: x, target: gone}]", "there is no target 'gone'"),
        ("rules: [{name: x, command: [rm]}]", "need a target of the configuration"),
        ("rules: [{name: fixed, target: phone}]", "two alert rules are called 'fixed'"),
        ("muted_until: {fixed: soon}", "'soon' is no time"),
        ("rule: []", "did you mean 'rules'"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as wrong:
        book_at(path)
    assert str(path) in str(wrong.value) and "\n" not in str(wrong.value)


def test_targets_of_the_configuration() -> None:
    config = AlertsConfig(rules=(page_rule(),), targets=(PHONE,))
    assert config.all_rules()[0].command == ("true",)
    assert list(config.book(None).targets) == ["phone"]
    with pytest.raises(ConfigError, match="there is no target 'phone'; targets: none"):
        AlertsConfig(rules=(page_rule(),)).all_rules()
    with pytest.raises(ConfigError, match="two alert targets are called 'phone'"):
        AlertsConfig(targets=(PHONE, PHONE)).all_targets()
    with pytest.raises(ConfigError, match="has a target and more"):
        AlertsConfig(rules=(page_rule(mqtt="x"),), targets=(PHONE,)).all_rules()
    with pytest.raises(ConfigError, match="target 'x' is empty"):
        AlertTarget("x")


def test_two_runs_that_share_a_file_lose_no_rule(tmp_path: Path) -> None:
    path = tmp_path / "alerts.yaml"
    one, two = book_at(path), book_at(path)
    one.put(page_rule("of one"))
    two.put(page_rule("of two"))
    two.mute("of one", 5)
    one.mute("fixed", 5)
    found = {state.rule.name: state.muted_until_s for state in book_at(path).states()}
    assert found == {"fixed": BEGAN_S + 300, "of one": BEGAN_S + 300, "of two": None}


def test_rules_can_be_read_while_the_disk_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, seen = book_at(tmp_path / "alerts.yaml"), list[list[str]]()

    def hang(path: Path, text: str) -> None:
        reader = threading.Thread(target=lambda: seen.append([r.name for r in book.active()]))
        reader.start()
        reader.join(10)

    monkeypatch.setattr(alert_book, "replace_text", hang)
    book.put(page_rule())
    assert seen == [["fixed"]]
    assert [one.name for one in book.active()] == ["fixed", "night"]


def test_a_file_that_was_spoilt_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "alerts.yaml"
    book = book_at(path)
    path.write_text("streams: {}\n")  # such as that of the views
    with pytest.raises(ConfigError, match="unknown key"):
        book.put(page_rule())
    assert path.read_text() == "streams: {}\n"


def test_a_target_that_cannot_be_used_is_found_at_the_start(tmp_path: Path) -> None:
    target = AlertTarget("phone", command=("no such program",))
    with pytest.raises(ConfigError, match="there is no program"):
        AlertSink(AlertBook([], [target], tmp_path / "alerts.yaml"), MqttConfig())


def test_rules_that_could_not_be_read_again_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "alerts.yaml"
    names = tuple(f"{n} " + "\U0001f6b6" * 195 for n in range(5))
    book = book_at(path)
    put = 0
    with pytest.raises(ConfigError, match="would be too large"):
        for number in range(MOST_RULES):
            book.put(page_rule(str(number), streams=names, labels=names))
            put += 1
    assert len(book_at(path).states()) == len(book.states()) == 1 + put > 2
