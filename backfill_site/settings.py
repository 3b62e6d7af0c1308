"""Settings, all from the environment or a `.env` beside manage.py. The README lists them."""

from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")


def _one_of(name: str, default: str, choices: tuple[str, ...]) -> str:
    """A setting that is needed before there are system checks to name it."""
    value = str(env.str(name, default=default))
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is {value!r}; set it to one of: {', '.join(choices)}.")
    return value


DEBUG = env.bool("DJANGO_DEBUG", default=False)
_DEVELOPMENT_KEY = "for-development-only-" + "0" * 40
SECRET_KEY = env.str("DJANGO_SECRET_KEY", default=_DEVELOPMENT_KEY if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "DJANGO_SECRET_KEY is not set. Set it to a long random text, or set DJANGO_DEBUG=true on your own machine."
    )
ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("DJANGO_CSRF_TRUSTED_ORIGINS", default=[])

_HTTPS = env.bool("DJANGO_HTTPS", default=False)
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
    database: dict[str, Any] = environ.Env.db_url_config(url)
    if database["ENGINE"] == "django.db.backends.sqlite3":
        path = BASE_DIR / str(database["NAME"])
        path.parent.mkdir(parents=True, exist_ok=True)
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
        database["OPTIONS"] = {"options": timeouts, **database.get("OPTIONS", {})}
        database["CONN_MAX_AGE"] = 60
        database["CONN_HEALTH_CHECKS"] = True
    return database


DATABASES = {"default": _database(env.str("DATABASE_URL", default="sqlite:///var/backfill.sqlite3"))}
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
    "EXCEPTION_HANDLER": "backfill.api.errors.handle_exception",
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

BACKFILL_STORAGE = env.str("BACKFILL_STORAGE", default="orm")
BACKFILL_FIRESTORE_PREFIX = env.str("BACKFILL_FIRESTORE_PREFIX", default="backfill")
BACKFILL_FIRESTORE_DATABASE = env.str("BACKFILL_FIRESTORE_DATABASE", default="(default)")
BACKFILL_DASHBOARD_URL = env.str("BACKFILL_DASHBOARD_URL", default="https://dashboards.toastmasters.org")
BACKFILL_CONTACT = env.str("BACKFILL_CONTACT", default="")
BACKFILL_ALLOWED_HOURS = env.str("BACKFILL_ALLOWED_HOURS", default="")
BACKFILL_TIME_ZONE = env.str("BACKFILL_TIME_ZONE", default="UTC")
BACKFILL_WORKER = env.str("BACKFILL_WORKER", default="auto")
BACKFILL_EXECUTOR = env.str("BACKFILL_EXECUTOR", default="threads")
BACKFILL_RETENTION_DAYS = env.int("BACKFILL_RETENTION_DAYS", default=30)
BACKFILL_WEBHOOK_URL = env.str("BACKFILL_WEBHOOK_URL", default="")
BACKFILL_WEBHOOK_SECRET = env.str("BACKFILL_WEBHOOK_SECRET", default="")
BACKFILL_AUDIT_DAYS = env.int("BACKFILL_AUDIT_DAYS", default=365)

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
