"""The project's settings as the tests run under them: no key needed, no worker."""

import os

os.environ["BACKFILL_ENV_FILE"] = os.devnull  # the .env beside manage.py is that of a real service
os.environ.setdefault("DJANGO_DEBUG", "true")
# The browser of the browser tests keeps a loop in the thread of the tests, where Django would then refuse to be asked.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

from backfill_site.settings import *  # noqa: F403

BACKFILL_WORKER = "off"
WHITENOISE_AUTOREFRESH = True  # no file is listed before it is asked for, so no folder is missed
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
