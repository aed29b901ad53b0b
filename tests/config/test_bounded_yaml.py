"""YAML that is too large, too deep or malformed: one line each, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ecolite_stream.config.bounded_yaml import MAX_BYTES, MAX_VALUES, parse_yaml
from ecolite_stream.config.strict import read_yaml
from ecolite_stream.errors import ConfigError


def repeated(first: str, each: str) -> str:
    """Nine lines, each of which repeats the one before twelve times."""
    names = [",".join([f"*x{i}"] * 12) for i in range(8)]
    return "\n".join([first, *(f"x{i}: &x{i + 1} {each % name}" for i, name in enumerate(names))])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: " + "[" * 5000 + "]" * 5000, "line 1: it is nested over 50 levels deep"),
        ("{a: " * 5000 + "1" + "}" * 5000, "nested over 50 levels deep"),
        ("\n".join(" " * i + "a:" for i in range(200)), "nested over 50 levels deep"),
        (repeated("x: &x0 {a: 1}", "{<<: [%s]}"), "has over 100000 values, aliases expanded"),
        (repeated("x: &x0 [a]", "[%s]"), "has over 100000 values, aliases expanded"),
        ("a: [" + "1," * MAX_VALUES + "]", "has over 100000 values"),
        ("a: " + "x" * MAX_BYTES, f"cannot be read: it has over {MAX_BYTES} bytes"),
        ("a: &a [*a]", "anchor 'a' contains itself"),
        ("a: &a {b: *a}", "anchor 'a' contains itself"),
        ("? [a]\n: b", "a key is a list or a mapping"),
        ("a: 1\nb: 2001-99-99", "line 2: a value is no valid timestamp"),
        ("a: !!int ten", "a value is no valid int"),
        ("a: !!bool perhaps", "a value is no valid bool"),
        ("a: !!timestamp now", "a value is no valid timestamp"),
        ("a: " + "1" * 5000, "a value is no valid int"),
        ("a: " + "1" * 400, "a whole number exceeds"),
        ("a: 1" + ":1" * 3000, "a whole number exceeds"),
    ],
)
def test_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    message = str(caught.value)
    assert words in message and str(path) in message
    assert "\n" not in message and len(message) < 300


def test_a_device_without_an_end() -> None:
    with pytest.raises(ConfigError, match="has over 1000000 bytes"):
        read_yaml(Path("/dev/zero"))


def test_aliases_and_merge_keys_within_the_bounds() -> None:
    text = "a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nc: [*a, *b]"
    assert parse_yaml(text)["c"] == [{"x": 1}, {"x": 1, "y": 2}]
    assert len(parse_yaml("a: [" + "1," * (MAX_VALUES // 2) + "]")["a"]) == MAX_VALUES // 2


@pytest.mark.parametrize("key", ["on", "off", "yes", "No", "true"])
def test_a_key_is_text_where_a_value_is_a_truth_value(key: str) -> None:
    assert parse_yaml(f"gate: {{{key}: [box-1]}}") == {"gate": {key: ["box-1"]}}
    assert parse_yaml("a: on\nb: [off]\nyes: no") == {"a": True, "b": [False], "yes": False}
    merged = parse_yaml(f"a: &a {{&k {key}: 1}}\nb: {{<<: *a, value: *k}}")
    assert merged["b"] == {key: 1, "value": yaml.safe_load(key)}
