"""The project's settings as the tests run under them: no key needed, no worker."""

import os

os.environ.setdefault("DJANGO_DEBUG", "true")

from backfill_site.settings import *  # noqa: F403

BACKFILL_WORKER = "off"
WHITENOISE_AUTOREFRESH = True  # no file is listed before it is asked for, so no folder is missed
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
