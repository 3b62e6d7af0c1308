"""Requests under the path of the setting SCRIPT_NAME, whether or not the proxy has removed it from their paths."""

from __future__ import annotations


def is_below(path: str, script_name: str) -> bool:
    return path == script_name or path.startswith(f"{script_name}/")


def without_script_name(path: str, script_name: str) -> str:
    """Return the path as the URL configuration knows it."""
    return path[len(script_name) :] if is_below(path, script_name) else path


def with_script_name(path: str, script_name: str) -> str:
    """Return the path as clients know it."""
    return path if is_below(path, script_name) else f"{script_name}{path}"
