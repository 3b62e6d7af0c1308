#!/usr/bin/env python3
"""Django's command-line utility."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backfill_site.settings")
    try:
        execute()
    except KeyboardInterrupt:  # while modules are loaded; the commands handle it afterwards
        raise SystemExit(130) from None


def execute() -> None:
    try:
        from django.core.management import execute_from_command_line
    except ImportError as exc:
        raise SystemExit("Django is not installed. Run `make setup`, then use .venv/bin/python manage.py.") from exc
    from django.core.exceptions import ImproperlyConfigured

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as exc:
        raise SystemExit(f"The service is not configured: {exc}") from exc


if __name__ == "__main__":
    main()
