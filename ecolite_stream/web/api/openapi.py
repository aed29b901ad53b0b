"""The OpenAPI document, made from the operations and their types."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from apispec import APISpec

from ecolite_stream.version import __version__
from ecolite_stream.web.api.operations import MAX_BODY, Operation
from ecolite_stream.web.api.types import Problem

_REF = "#/components/schemas/{name}"
_ALWAYS = {
    400: "The request does not fit; the error says what was expected",
    401: "A token is needed, or it is wrong",
    403: "The token may only read, or another site's page asks",
    408: "The body did not come in time",
    413: f"The body is larger than {MAX_BODY} bytes",
    415: "The body is not JSON",
    421: "The server does not know the host name",
    429: "Too many requests, or too many wrong tokens; `Retry-After` has the seconds to wait",
}
_MORE = {
    404: "There is no such thing, or it is gone",
    409: "It cannot be done now",
    503: "The store or the run does not answer",
}
_PATH = {
    "id": "Id of an event: a UUID of version 7.",
    "name": "Name of a stream, percent-encoded.",
    "action": "Name of an action, percent-encoded.",
    "file": "File name of a clip, percent-encoded.",
    "rule": "Name of an alert rule, percent-encoded.",
}


def openapi(operations: Sequence[Operation]) -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    spec = APISpec(
        "ecolite-stream",
        __version__,
        "3.1.0",
        info={"description": "Streams, events and live updates of a run."},
        security=[{"token": []}],
    )
    spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    kinds: list[Any] = [Problem]
    for one in operations:
        kinds += [kind for kind in (one.query, one.body, one.answer) if isinstance(kind, type)]
    kinds = list(dict.fromkeys(kinds))
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    found = dict(zip(kinds, schemas, strict=True))
    queries = {one.query.__name__ for one in operations if one.query is not None}
    for name, schema in components.items():
        if name not in queries:
            spec.components.schema(name, _without_closed_items(schema))
    for one in operations:
        parameters = [_path_parameter(key) for key in re.findall(r"{(\w+)}", one.path)]
        if one.query is not None:
            parameters += _query_parameters(components[one.query.__name__])
        described = {
            "operationId": _operation_id(one),
            "summary": one.summary,
            "parameters": parameters,
            "responses": _responses(one, found),
        }
        if one.body is not None:
            content = {"application/json": {"schema": found[one.body]}}
            described["requestBody"] = {"required": one.needs_body, "content": content}
        spec.path(f"/api{one.path}", operations={one.method.lower(): described})
    return spec.to_dict()


def _without_closed_items(schema: Any) -> Any:
    """A schema without `items: false`, which apispec takes for a reference; `maxItems` stays."""
    if isinstance(schema, dict):
        return {
            key: _without_closed_items(value)
            for key, value in schema.items()
            if not (key == "items" and value is False)
        }
    return [_without_closed_items(one) for one in schema] if isinstance(schema, list) else schema


def _operation_id(one: Operation) -> str:
    return re.sub(r"\W+", "_", f"{one.method.lower()}{one.path}").strip("_")


def _path_parameter(key: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1}
    return {
        "in": "path",
        "name": key,
        "required": True,
        "schema": schema,
        "description": _PATH[key],
    }


def _query_parameters(schema: dict[str, Any]) -> list[dict[str, Any]]:
    required = schema.get("required", ())
    return [
        {
            "in": "query",
            "name": name,
            "required": name in required,
            "schema": _without_null(described),
            "description": described.get("description", ""),
        }
        for name, described in schema["properties"].items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query string has no null: what may be left out is not required, and that is all."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    if "enum" in rest:
        rest["enum"] = [value for value in rest["enum"] if value is not None]
    return {**rest, **(kinds[0] if kinds else {})}


def _responses(one: Operation, found: dict[Any, Any]) -> dict[str, Any]:
    done: dict[str, Any] = {"description": "Done"}
    if isinstance(one.answer, str):
        done["content"] = {one.answer: {"schema": {"type": "string"}}}
    elif one.answer is not None:
        done["content"] = {"application/json": {"schema": found[one.answer]}}
    problem = {"application/json": {"schema": found[Problem]}}
    errors = {**_ALWAYS, **{status: _MORE[status] for status in one.errors}}
    if one.body is None:
        errors = {key: value for key, value in errors.items() if key not in (408, 413, 415)}
    responses = {
        str(status): {"description": words, "content": problem} for status, words in errors.items()
    }
    return {str(one.status): done, **responses}
