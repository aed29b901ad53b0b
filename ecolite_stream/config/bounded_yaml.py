"""Parse YAML into plain containers, bounded in size, depth and number of values."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_VALUES = 100_000
"""Keys and values, with aliases expanded."""
MAX_WHOLE_NUMBER = 2**63 - 1


def parse_yaml(text: str) -> Any:
    """Parse one YAML document.

    Raises:
        yaml.YAMLError: it is not YAML, has a key twice, or exceeds a bound of this module.
    """
    if len(text) > MAX_BYTES:
        raise yaml.MarkedYAMLError(problem=f"it has over {MAX_BYTES} bytes; split it")
    return yaml.load(text, _StrictLoader)


class _StrictLoader(yaml.SafeLoader):
    """Refuses repeated keys, non-scalar keys, huge numbers and alias bombs; `on` is a key."""

    # File names with bytes that are not UTF-8 have surrogates, which PyYAML refuses.
    NON_PRINTABLE = re.compile(  # type: ignore[misc]
        "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\udc80-\udcff\ue000-\ufffd\U00010000-\U0010ffff]"
    )

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._values = 0
        self._values_of: dict[str, int] = {}
        """Number of values of each anchor."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        before = self._values
        self._depth += 1
        self._values += self._count(event)
        if self._depth > MAX_DEPTH:
            raise _problem(f"it is nested over {MAX_DEPTH} levels deep", event.start_mark)
        if self._values > MAX_VALUES:
            raise _problem(
                f"it has over {MAX_VALUES} values, aliases expanded; split it", event.start_mark
            )
        node = super().compose_node(parent, index)
        self._depth -= 1
        if not isinstance(event, yaml.AliasEvent) and event.anchor is not None:
            self._values_of[event.anchor] = self._values - before
        if isinstance(parent, yaml.MappingNode) and index is None:
            return _text_key(node)
        return node

    def _count(self, event: yaml.NodeEvent) -> int:
        if not isinstance(event, yaml.AliasEvent):
            return 1
        if event.anchor in self.anchors and event.anchor not in self._values_of:
            raise _problem(f"anchor {event.anchor!r} contains itself", event.start_mark)
        return self._values_of.get(str(event.anchor), 1)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _problem("a key is a list or a mapping", key_node.start_mark)
            if key_node.value in seen:
                line = key_node.start_mark.line + 1
                raise _problem(
                    f"key {_shown(key_node.value)} is repeated in line {line}; remove one"
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Hashable:
        kind = node.tag.rpartition(":")[2]
        try:
            value: Hashable = super().construct_object(node, deep)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise _problem(  # the value may be a secret
                f"a value is no valid {kind}; write text in quotes", node.start_mark
            ) from error
        if isinstance(value, int) and abs(value) > MAX_WHOLE_NUMBER:
            raise _problem(
                f"a whole number exceeds {MAX_WHOLE_NUMBER}; write text in quotes", node.start_mark
            )
        return value


def _text_key(node: yaml.Node | None) -> yaml.Node | None:
    """A key, as text where YAML 1.1 takes it for a truth value: on, off, yes, no."""
    if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:bool":
        return node
    return yaml.ScalarNode(
        "tag:yaml.org,2002:str", node.value, node.start_mark, node.end_mark, node.style
    )


def _problem(text: str, mark: Any = None) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=mark)


def _shown(key: str) -> str:
    """A key for a message; a URL may hold a password."""
    return "a URL" if "://" in key else repr(key)
