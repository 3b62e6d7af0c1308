"""The reference pages are generated from the OpenAPI document and from the parsers of the commands."""

from __future__ import annotations

import re

from backfill_site import cli_reference_page, rest_reference_page
from backfill_site.rest_reference_page import openapi_document


def test_the_rest_reference_is_up_to_date() -> None:
    """After a change of the API: python -m backfill_site.rest_reference_page"""
    page = rest_reference_page.PAGE.read_text()
    assert page == rest_reference_page.page_with_reference(page, openapi_document())


def test_the_rest_reference_has_every_operation_and_every_field_of_the_api() -> None:
    page, document = rest_reference_page.PAGE.read_text(), openapi_document()
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"\n`{method.upper()} {path}`\n" in page
    for name, schema in document["components"]["schemas"].items():
        section = page.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        for field in schema.get("properties", ()):
            assert f"| `{field}`" in section, f"{name}.{field}"


def test_every_link_within_the_rest_reference_leads_to_a_heading() -> None:
    page = rest_reference_page.PAGE.read_text()
    headings = {title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", page, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= headings


def test_the_command_reference_is_up_to_date() -> None:
    """After a change of a command: python -m backfill_site.cli_reference_page"""
    page = cli_reference_page.PAGE.read_text()
    assert page == cli_reference_page.page_with_reference(page)


def test_the_command_reference_explains_every_option() -> None:
    page = cli_reference_page.PAGE.read_text()
    assert "\n### backfill start\n" in page
    assert "\n### api_tokens revoke\n" in page
    assert re.findall(r"^\| `[^`]*` \| *\|$", page, re.MULTILINE) == []
