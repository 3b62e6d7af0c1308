"""What a command imports before it runs: each package delays every start of `manage.py backfill`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_a_command_that_prints_text_imports_neither_rest_framework_nor_a_driver_that_it_does_not_use() -> None:
    """REST framework imports requests, psycopg, Markdown and Pygments; together they took a quarter of a start.

    Google's client takes a second and 78 MB.
    """
    script = (
        "import sys, django; django.setup(); from backfill.bootstrap import backfill_service; backfill_service();"
        "import backfill.cli.parser, backfill.cli.commands;"
        "unused = ('rest_framework.fields', 'psycopg', 'google.cloud', 'grpc', 'sample_dashboard.server');"
        "imported = [name for name in unused if name in sys.modules];"
        "assert not imported, imported"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).resolve().parents[2], env=environment, check=True)
