"""The project's settings as the tests run under them: no key needed, no worker."""

import os

os.environ.setdefault("DJANGO_DEBUG", "true")

from backfill_site.settings import *  # noqa: F403

BACKFILL_WORKER = "off"
