"""Writes docs/rest-reference.md from the OpenAPI document: `python -m backfill_site.rest_reference_page`."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

Schema = Mapping[str, Any]

PAGE = Path(__file__).resolve().parent.parent / "docs" / "rest-reference.md"
_SECTIONS = re.compile(r"(<!-- (operations|common|objects): [^\n]* -->\n\n).*?(\n\n<!-- /\2 -->)", re.DOTALL)
_COMMON_FROM = 10
"""A response that at least this many operations describe with the same words is described once."""
_METHODS = ("get", "post", "put", "patch", "delete")


def page_with_reference(page: str, document: Schema) -> str:
    """Return the page with the operations and objects of an OpenAPI document between its markers."""
    operations = list(_operations(document))
    common = _common_responses(operations)
    sections = {
        "operations": "\n\n".join(_groups(operations, common)),
        "common": _table(("status", "meaning"), sorted(common)),
        "objects": "\n\n".join(_objects(document["components"]["schemas"])),
    }
    return _SECTIONS.sub(lambda match: match[1] + sections[match[2]] + match[3], page)


def _operations(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield method.upper(), path, methods[method]


def _common_responses(operations: Iterable[tuple[str, str, Schema]]) -> set[tuple[str, str]]:
    counts = Counter(
        (status, response["description"])
        for _, _, operation in operations
        for status, response in operation["responses"].items()
        if status >= "400"
    )
    return {response for response, count in counts.items() if count >= _COMMON_FROM}


def _groups(operations: list[tuple[str, str, Schema]], common: set[tuple[str, str]]) -> Iterator[str]:
    for tag in dict.fromkeys(operation["tags"][0] for _, _, operation in operations):
        yield f"## {tag}"
        for method, path, operation in operations:
            if operation["tags"][0] == tag:
                yield from _operation(method, path, operation, common)


def _operation(method: str, path: str, operation: Schema, common: set[tuple[str, str]]) -> Iterator[str]:
    yield f"### {operation['summary']}"
    yield f"`{method} {path}`"
    if "description" in operation:
        yield _line(operation["description"])
    if parameters := operation.get("parameters"):
        rows = [
            (_name(item["name"], "required" if item.get("required") else ""), item["in"], *_described(item))
            for item in parameters
        ]
        yield _table(("parameter", "in", "type", "meaning"), rows)
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        yield f"Request body: {_type(schema)}."
    responses = operation["responses"]
    described = [
        (status, _content(response), _cell(response["description"]))
        for status, response in sorted(responses.items())
        if (status, response["description"]) not in common
    ]
    yield _table(("response", "body", "meaning"), described)
    if also := [
        status for status, response in sorted(responses.items()) if (status, response["description"]) in common
    ]:
        yield f"Errors of [several operations](#common-errors): {', '.join(also)}."


def _content(response: Schema) -> str:
    """Return the body of a response; errors always have the same one."""
    kinds = [
        _type(media["schema"]) if kind == "application/json" else f"`{kind}`"
        for kind, media in response.get("content", {}).items()
    ]
    return " or ".join(dict.fromkeys(kinds))


def _objects(schemas: Mapping[str, Schema]) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        if "properties" in schema:
            required = set(schema.get("required", ()))
            is_request = name.endswith("Request")
            marked = required if is_request else set(schema["properties"]) - required
            mark = "required" if is_request else "may be absent"
            rows = [
                (_name(field, mark if field in marked else ""), *_described({"schema": value, **value}))
                for field, value in schema["properties"].items()
            ]
            yield f"### {name}"
            yield _table(("field", "type", "meaning"), rows)
        elif "enum" in schema:
            yield f"### {name}"
            yield f"One of {', '.join(f'`{value}`' for value in schema['enum'])}."


def _name(name: str, mark: str) -> str:
    return f"`{name}` ({mark})" if mark else f"`{name}`"


def _described(item: Schema) -> tuple[str, str]:
    """Return the cells for the type and the meaning of a parameter or a field."""
    limits = " ".join(filter(None, [_cell(item.get("description", "")), *_bounds(item["schema"])]))
    return _type(item["schema"]), limits


def _bounds(schema: Schema) -> Iterator[str]:
    if "minimum" in schema:
        yield f"{schema['minimum']:,} to {schema['maximum']:,}."
    if "default" in schema:
        yield f"Default: `{schema['default']}`."


def _type(schema: Schema) -> str:
    """Return the type of a value, with links to the objects of this page."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return "null" if name == "NullEnum" else f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if parts := schema.get("allOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(part for each in parts for part in _type(each).split(" or ")))
    kinds = schema.get("type", "any")
    return " or ".join(_simple(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _simple(kind: str, schema: Schema) -> str:
    if kind == "array":
        return f"array of {_type(schema['items'])}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {_type(schema['additionalProperties'])}"
    if kind == "string":
        return {"date": "date", "date-time": "time", "uuid": "UUID"}.get(schema.get("format", ""), "string")
    return kind


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(titles)
    return "\n".join(_row(cells) for cells in [names, ["---"] * len(names), *rows])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


def _line(text: str) -> str:
    return " ".join(text.split())


def openapi_document() -> Schema:
    """Return the OpenAPI document of the service as `/api/schema` sends it. Needs a configured Django."""
    from drf_spectacular.generators import SchemaGenerator
    from drf_spectacular.renderers import OpenApiJsonRenderer

    document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    rendered: Schema = json.loads(OpenApiJsonRenderer().render(document, renderer_context={}))
    return rendered


if __name__ == "__main__":
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backfill_site.settings")
    os.environ.setdefault("DJANGO_DEBUG", "true")
    django.setup()
    PAGE.write_text(page_with_reference(PAGE.read_text(), openapi_document()))
