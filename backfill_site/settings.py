"""Django's settings. The table in backfill/settings_table.py declares those that operators set.

They are read from the environment, or from a `.env` next to manage.py. Invalid values of most types stop the start,
since serving processes run no system checks.
"""

import os
import re
import warnings
from datetime import timedelta
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from backfill.domain import LeasePolicy
from backfill.settings_table import read_settings
from backfill_site.compression import weaken_etag
from backfill_site.database_url import database_of

BASE_DIR = Path(__file__).resolve().parent.parent

_ENV_FILE = os.environ.get("BACKFILL_ENV_FILE", str(BASE_DIR / ".env"))
if "BACKFILL_ENV_FILE" in os.environ and not Path(_ENV_FILE).exists():
    raise ImproperlyConfigured(f"BACKFILL_ENV_FILE is {_ENV_FILE!r}; there is no such file.")
environ.Env.read_env(_ENV_FILE)


try:
    _values = read_settings(os.environ)
except ValueError as exc:
    raise ImproperlyConfigured(str(exc)) from None
globals().update({name: value for name, value in _values.items() if name.startswith("BACKFILL_")})

DEBUG = _values["DJANGO_DEBUG"]
_DEVELOPMENT_KEY = "for-development-only-" + "0" * 40
SECRET_KEY = _values["DJANGO_SECRET_KEY"] or (_DEVELOPMENT_KEY if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "DJANGO_SECRET_KEY is not set. Set it to a long random text, or set DJANGO_DEBUG=true on your own machine."
    )
ALLOWED_HOSTS = _values["DJANGO_ALLOWED_HOSTS"]
CSRF_TRUSTED_ORIGINS = _values["DJANGO_CSRF_TRUSTED_ORIGINS"]

_SCRIPT_NAME = _values["SCRIPT_NAME"]
FORCE_SCRIPT_NAME = _SCRIPT_NAME or None
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = _SCRIPT_NAME or "/"
if _SCRIPT_NAME:
    SESSION_COOKIE_NAME = "backfill_sessionid"  # another Django application of the host may have a `sessionid` for /
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # the cookie would have the path /

_HTTPS = _values["DJANGO_HTTPS"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _HTTPS else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _HTTPS and _values["DJANGO_HSTS"] != "off" else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _values["DJANGO_HSTS"] in {"subdomains", "preload"}
SECURE_HSTS_PRELOAD = _values["DJANGO_HSTS"] == "preload"
# The other hosts of a domain are not the business of this service, so `check --deploy` does not ask for them.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
_PROBES = re.escape(f"{_SCRIPT_NAME}/".lstrip("/")) + "(healthz|readyz|metrics)"
SECURE_REDIRECT_EXEMPT = [f"^{_PROBES}$"]  # probes come from inside the network, without TLS
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],  # icons in the style sheets of Django's admin
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
    "axes",  # before accounts, whose receivers read what axes has counted
    "accounts",  # before authtoken, whose command drf_create_token it replaces
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "backfill",
    "sample_dashboard",
    "adminui",
]
MIDDLEWARE = [
    "backfill.api.middleware.SecurityHeaders",
    "backfill_site.compression.Compression",
    "backfill.api.middleware.JsonErrors",
    "django.middleware.security.SecurityMiddleware",
    "backfill.api.middleware.HostValidation",
    "backfill.api.middleware.BodyLength",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "adminui.middleware.DatabaseErrors",
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


try:
    DATABASES = {"default": database_of(_values["DATABASE_URL"], BASE_DIR)}
except ValueError as exc:
    raise ImproperlyConfigured(str(exc)) from None
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

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_FAILURE_LIMIT = 10  # of a user name from an address; accounts.lockout has the other limits
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = "accounts.lockout.lockout_parameters"
AXES_LOCKOUT_CALLABLE = "accounts.lockout.locked_response"
AXES_USERNAME_CALLABLE = "accounts.lockout.user_name"
AXES_CLIENT_IP_CALLABLE = "accounts.client_address.client_address"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # a lock ends, even if the attack continues
AXES_DISABLE_ACCESS_LOG = True  # the audit log has the failures; sign-ins would be kept for ever
AXES_VERBOSE = False

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = f"{_SCRIPT_NAME}/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
warnings.filterwarnings("ignore", message="No directory at: .*staticfiles")  # of WhiteNoise; the folder need not exist
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True  # files are served from the packages: no collectstatic
WHITENOISE_ADD_HEADERS_FUNCTION = weaken_etag
WHITENOISE_ALLOW_ALL_ORIGINS = False

DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.TokenAuthentication",
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
    "SERVERS": [{"url": _SCRIPT_NAME}] if _SCRIPT_NAME else [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_SPLIT_PATCH": False,  # PUT and PATCH take the same body
    "CAMELIZE_NAMES": True,
    "DISABLE_DOCSTRING_DESCRIPTIONS": True,  # docstrings are for readers of the code
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "JobType": "backfill.domain.JobType",
        "JobStatus": "backfill.domain.Status",
        "LimiterState": "backfill.domain.LimiterState",
        "ProbeStatus": ["ok"],
    },
}

BACKFILL_LEASE_POLICY = LeasePolicy()
"""Not in the environment: all processes of an installation must use the same policy. Tests use a short one."""

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {
            "()": "backfill_site.log_format.TextFormatter",
            "fmt": "%(asctime)s %(levelname)s %(name)s: %(message)s",
        },
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": "{levelname}{name}{message}",
            "style": "{",
            "rename_fields": {"levelname": "level", "name": "logger"},
            "timestamp": True,
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": _values["BACKFILL_LOG_FORMAT"]}},
    "loggers": {
        "backfill": {"handlers": ["console"], "level": _values["BACKFILL_LOG_LEVEL"]},
        "axes": {"handlers": ["console"], "level": "ERROR"},  # accounts.sign_in_log reports failures
        # Anybody can send a wrong Host header, and the response names DJANGO_ALLOWED_HOSTS.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        # Without this, Django reports errors by mail only if DEBUG is off.
        "django": {"handlers": ["console"], "level": "INFO" if DEBUG else "ERROR"},
    },
}
