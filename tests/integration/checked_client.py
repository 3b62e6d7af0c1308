"""A client of the API that validates every response against the OpenAPI document."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator, FormatChecker
from rest_framework.test import APIClient

COMMON_ERRORS = frozenset({400, 405, 406, 410, 413, 415, 500})
"""Status codes of errors that any path may return, even if its operation does not document them."""


DOCUMENT_PATH = "/api/schema"
"""The path of the document itself."""


@cache
def openapi() -> dict[str, Any]:
    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]


@cache
def operations() -> frozenset[tuple[str, str]]:
    """Return the path and method of each operation."""
    return frozenset((path, method) for path, methods in openapi()["paths"].items() for method in methods)


@cache
def _components() -> dict[str, Any]:
    """Return the components of the document, changed so that objects have no undocumented properties."""
    components = deepcopy(openapi()["components"])
    for schema in components["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return components  # type: ignore[no-any-return]


@cache
def template_of(path: str) -> str | None:
    """Return the path template of the document that a path matches. Templates without parameters come first."""
    for template in sorted(openapi()["paths"], key=lambda template: template.count("{")):
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), path):
            return str(template)
    return None


@cache
def _validator(template: str | None, method: str, status: int) -> Draft202012Validator:
    error = {"$ref": "#/components/schemas/Error"}
    operation = openapi()["paths"].get(template, {}).get("get" if method == "head" else method)
    if operation is None or (status in COMMON_ERRORS and str(status) not in operation["responses"]):
        assert status >= 400, f"{method} {template} answered {status} and is not documented"
        schema = error
    else:
        assert str(status) in operation["responses"], f"{method} {template} does not document {status}"
        schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": _components()}, format_checker=FormatChecker())


class CheckedClient(APIClient):
    """An APIClient that validates responses. `seen` contains the operations that have succeeded."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seen: set[tuple[str, str]] = set()

    def request(self, **environ: Any) -> Any:
        response = super().request(**environ)
        method, path = str(environ["REQUEST_METHOD"]).lower(), response.wsgi_request.path_info
        template = template_of(path)
        if template and response.status_code < 300:
            self.seen.add((template, method))
        if response.status_code == 304 or method == "head":
            assert not response.content
        elif response.get("Content-Type") == "application/json" and path != DOCUMENT_PATH:
            body = json.loads(response.content)
            _validator(template, method, response.status_code).validate(body)
            if response.status_code >= 400:
                check_error(body)
        return response


def check_error(body: dict[str, Any]) -> None:
    """Check what the document cannot express about an error."""
    assert list(body) == ["error", "metadata"]
    assert re.fullmatch(r"[A-Z_]+", body["error"]["code"])
    assert len(body["error"]["message"]) > 10
    if body["error"]["code"] in {"VALIDATION_ERROR", "INVALID_JOB_TYPE", "INVALID_DATE_RANGE"}:
        details = body["error"]["details"]
        assert details
        assert all(isinstance(text, str) for texts in details.values() for text in texts)
