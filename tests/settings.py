"""The project's settings as the tests run under them: no key needed, no worker."""

import os

os.environ["BACKFILL_ENV_FILE"] = os.devnull  # the .env next to manage.py belongs to a real service
os.environ.setdefault("DJANGO_DEBUG", "true")
# Playwright runs an event loop in the thread of the tests, where Django would refuse database queries.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

from backfill_site.settings import *  # noqa: F403

BACKFILL_WORKER = "off"
WHITENOISE_AUTOREFRESH = True  # static files are looked up per request, so the folder need not exist
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
