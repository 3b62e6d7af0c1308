"""Settings, all from the environment or a `.env` beside manage.py. docs/configuration.md lists them.

What is no value of a setting stops the start with a sentence, where system checks would come too late to name it:
serving processes run none of them.
"""

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from backfill.domain import LeasePolicy

BASE_DIR = Path(__file__).resolve().parent.parent
_ON, _OFF = {"true", "on", "yes", "1"}, {"false", "off", "no", "0", ""}
_MOST_DAYS = 36_500

_ENV_FILE = os.environ.get("BACKFILL_ENV_FILE", str(BASE_DIR / ".env"))
if "BACKFILL_ENV_FILE" in os.environ and not Path(_ENV_FILE).exists():
    raise ImproperlyConfigured(f"BACKFILL_ENV_FILE is {_ENV_FILE!r}; there is no such file.")
environ.Env.read_env(_ENV_FILE)


def _text(name: str, default: str = "") -> str:
    """As it is written: Env.str would take a text that begins with $ for the name of another variable."""
    return os.environ.get(name, default)


def _one_of(name: str, default: str, choices: Collection[str]) -> str:
    value = _text(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is {value!r}; set it to one of: {', '.join(choices)}.")
    return value


def _is_on(name: str) -> bool:
    """Refused is a slip like `ture`: taken for false, it would turn off what was meant to be on."""
    value = _text(name).strip().lower()
    if value not in _ON | _OFF:
        raise ImproperlyConfigured(f"{name} is {value!r}; set it to true or false.")
    return value in _ON


def _days(name: str, default: int) -> int:
    value = _text(name, str(default))
    if not (value.isdecimal() and 1 <= int(value) <= _MOST_DAYS):
        raise ImproperlyConfigured(f"{name} is {value!r}; set it to a number of days from 1 to {_MOST_DAYS}.")
    return int(value)


def _names(name: str, default: str = "") -> list[str]:
    return [value.strip() for value in _text(name, default).split(",") if value.strip()]


DEBUG = _is_on("DJANGO_DEBUG")
_DEVELOPMENT_KEY = "for-development-only-" + "0" * 40
SECRET_KEY = _text("DJANGO_SECRET_KEY") or (_DEVELOPMENT_KEY if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "DJANGO_SECRET_KEY is not set. Set it to a long random text, or set DJANGO_DEBUG=true on your own machine."
    )
ALLOWED_HOSTS = _names("DJANGO_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = _names("DJANGO_CSRF_TRUSTED_ORIGINS")

_HTTPS = _is_on("DJANGO_HTTPS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _HTTPS else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]  # probes come from inside, without TLS
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ("/api/docs",),  # that page's own script is inline
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],  # the admin's own style sheets hold icons
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    },
}

INSTALLED_APPS = [
    "adminui.apps.BackfillAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "backfill",
    "sample_dashboard",
    "adminui",
]
MIDDLEWARE = [
    "backfill.api.middleware.JsonErrors",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "backfill_site.urls"
WSGI_APPLICATION = "backfill_site.wsgi.application"
APPEND_SLASH = True
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def _database(url: str) -> dict[str, Any]:
    """The default database; a relative SQLite path is one beside manage.py."""
    database: dict[str, Any] = {}
    if url.partition("://")[0] in {"sqlite", "postgres", "postgresql"}:
        with suppress(ValueError):  # of a port that is no number
            database = environ.Env.db_url_config(url)
    if database.get("NAME", "") in {"", ":memory:"}:
        # Not quoted, since it may hold a password.
        raise ImproperlyConfigured(
            "DATABASE_URL names no database; write it like sqlite:///FOLDER/FILE or postgres://USER:PASSWORD@HOST/NAME."
        )
    if database["ENGINE"] == "django.db.backends.sqlite3":
        path = BASE_DIR / str(database["NAME"])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise ImproperlyConfigured(f"DATABASE_URL: {path.parent} cannot be made: {exc.strerror}.") from exc
        database["NAME"] = str(path)
        # IMMEDIATE: a transaction that reads before it writes waits for its turn, where it else would fail at once.
        # WAL: readers and the writer do not wait for each other. NORMAL keeps the order of commits through a kill.
        database["OPTIONS"] = {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    else:
        # A process that freezes within a transaction (a paused machine, a lost network) would keep its locks for as
        # long; its session is ended instead. What it writes when it is back is refused, as from any lost runner.
        timeouts = "-c idle_in_transaction_session_timeout=10s -c lock_timeout=20s"
        # A server whose machine or network is gone says nothing any more. It is given up in seconds; the system would
        # send again for a quarter of an hour, and wait for two hours where it had nothing to send.
        silence = {"connect_timeout": 5, "tcp_user_timeout": 10_000, "keepalives_idle": 5, "keepalives_interval": 3}
        database["OPTIONS"] = {"options": timeouts, **silence, **database.get("OPTIONS", {})}
        database["CONN_MAX_AGE"] = 60
        database["CONN_HEALTH_CHECKS"] = True
    return database


DATABASES = {"default": _database(_text("DATABASE_URL", "sqlite:///var/backfill.sqlite3"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True  # one process, no build step: the files of the packages are served where they lie

DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "backfill.api.exception_handler.handle_exception",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Unified Backfill Service",
    "DESCRIPTION": "Collects the history of the Toastmasters dashboards, and serves what was collected.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_SPLIT_PATCH": False,  # PUT and PATCH take the same
    "CAMELIZE_NAMES": True,
    "DISABLE_DOCSTRING_DESCRIPTIONS": True,  # those are for who reads the code
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "JobType": "backfill.domain.JobType",
        "JobStatus": "backfill.domain.Status",
        "LimiterState": "backfill.domain.LimiterState",
        "ProbeStatus": ["ok"],
    },
}

BACKFILL_STORAGE = _text("BACKFILL_STORAGE", "orm")
BACKFILL_FIRESTORE_PREFIX = _text("BACKFILL_FIRESTORE_PREFIX", "backfill")
BACKFILL_FIRESTORE_DATABASE = _text("BACKFILL_FIRESTORE_DATABASE", "(default)")
BACKFILL_DASHBOARD_URL = _text("BACKFILL_DASHBOARD_URL", "https://dashboards.toastmasters.org")
BACKFILL_CONTACT = _text("BACKFILL_CONTACT")
BACKFILL_IGNORE_ROBOTS = _is_on("BACKFILL_IGNORE_ROBOTS")
BACKFILL_ALLOWED_HOURS = _text("BACKFILL_ALLOWED_HOURS")
BACKFILL_TIME_ZONE = _text("BACKFILL_TIME_ZONE", "UTC")
BACKFILL_WORKER = _one_of("BACKFILL_WORKER", "auto", ("auto", "off"))
BACKFILL_EXECUTOR = _text("BACKFILL_EXECUTOR", "threads")
BACKFILL_RETENTION_DAYS = _days("BACKFILL_RETENTION_DAYS", 30)
BACKFILL_WEBHOOK_URL = _text("BACKFILL_WEBHOOK_URL")
BACKFILL_WEBHOOK_SECRET = _text("BACKFILL_WEBHOOK_SECRET")
BACKFILL_AUDIT_DAYS = _days("BACKFILL_AUDIT_DAYS", 365)

BACKFILL_LEASE_POLICY = LeasePolicy()
"""No setting of the environment: every process of an installation must use the same one. Tests use a short policy."""

_LOG_LEVEL = _one_of("BACKFILL_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
_LOG_FORMAT = _one_of("BACKFILL_LOG_FORMAT", "text", ("text", "json"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": "{levelname}{name}{message}",
            "style": "{",
            "rename_fields": {"levelname": "level", "name": "logger"},
            "timestamp": True,
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": _LOG_FORMAT}},
    "loggers": {
        "backfill": {"handlers": ["console"], "level": _LOG_LEVEL},
        # Without debug, Django would tell of its errors by mail only.
        "django": {"handlers": ["console"], "level": "INFO" if DEBUG else "ERROR"},
    },
}
