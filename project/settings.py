"""Every setting, from the environment or with a default that works.

docs/settings.md explains each; a test compares it with this file.
"""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from urllib.parse import urlsplit

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# --- where things are -------------------------------------------------------
FOLKMOOT_DATA = Path(env.str("FOLKMOOT_DATA", str(BASE_DIR / "var"))).resolve()
WEB_BIND = env.str("WEB_BIND", "127.0.0.1:8000")
SMTP_BIND = env.str("SMTP_BIND", "127.0.0.1:2525")
SUBMISSION_BIND = env.str("SUBMISSION_BIND", "")
LMTP_BIND = env.str("LMTP_BIND", "")
BASE_URL = env.str("BASE_URL", f"http://{WEB_BIND}").rstrip("/")
SMTP_HOSTNAME = env.str("SMTP_HOSTNAME", "") or socket.getfqdn()


def _secret_key() -> str:
    """The key in the data folder; made and kept there the first time."""
    path = FOLKMOOT_DATA / "secret_key"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    FOLKMOOT_DATA.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(48))
    return path.read_text().strip()


SECRET_KEY = env.str("SECRET_KEY", "") or _secret_key()
DEBUG = env.bool("DEBUG", False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[urlsplit(BASE_URL).hostname or "*"])

# --- mail -------------------------------------------------------------------
# `mailbox`, `host:port` or `mx`.
RELAY = env.str("RELAY", "mailbox")
RELAY_USER = env.str("RELAY_USER", "")
RELAY_PASSWORD = env.str("RELAY_PASSWORD", "")
# `none`, `opportunistic` (STARTTLS when offered), `starttls` (or nothing is
# sent) or `implicit`.
RELAY_TLS = env.str("RELAY_TLS", "opportunistic")
RELAY_CONNECTIONS = env.int("RELAY_CONNECTIONS", 10)
DNS_SERVER = env.str("DNS_SERVER", "")
MX_PORT = env.int("MX_PORT", 25)
# Bytes: what EHLO announces as SIZE.
MAX_MESSAGE_SIZE = env.int("MAX_MESSAGE_SIZE", 26_214_400)
# PEM files for STARTTLS on the listener; both or none.
TLS_CERT = env.str("TLS_CERT", "")
TLS_KEY = env.str("TLS_KEY", "")
# Days after which a delivery is given up (RFC 5321 4.5.4.1).
GIVE_UP_DAYS = env.int("GIVE_UP_DAYS", 5)
SMTP_PROCESSES = env.int("SMTP_PROCESSES", 1)
WORKERS = env.int("WORKERS", os.cpu_count() or 1)
# The doors for mail, in the order they are asked; see project/mailroutes.py.
MAIL_ROUTES = "project.mailroutes"
EMAIL_BACKEND = "smtpd.queue.mail.EmailBackend"

# --- database ---------------------------------------------------------------
DATABASES = {
    "default": env.db_url(
        "DATABASE_URL", default=f"sqlite:///{FOLKMOOT_DATA / 'folkmoot.sqlite3'}"
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # A transaction that reads first and writes later cannot wait for the
        # lock in WAL mode: take it at once. FULL: 250 means it is on the disk.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "PRAGMA journal_size_limit=67108864; PRAGMA mmap_size=134217728;"
        ),
    }
else:
    # Per process. Every thread that asks gets one within 5 s or an error.
    DATABASES["default"]["OPTIONS"] = {
        "pool": {"min_size": 1, "max_size": 10, "timeout": 5}
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- broker -----------------------------------------------------------------
EMBEDDED_BROKER = FOLKMOOT_DATA / "valkey.sock"
BROKER_URL = env.str(
    "BROKER_URL", f"redis+socket://{EMBEDDED_BROKER}?virtual_host=0"
)
CELERY_BROKER_URL = BROKER_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# One number for the broker's redelivery and our own time limits: no task may
# run as long as the visibility timeout.
CELERY_TASK_TIME_LIMIT = 600
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 900,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 15,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
CELERY_BEAT_SCHEDULE = {
    # Both find what a lost nudge left behind: due deliveries; posts, imports.
    "sweep-queue": {"task": "smtpd.queue.tasks.sweep", "schedule": 5.0},
    "sweep-lists": {"task": "lists.tasks.sweep", "schedule": 5.0},
}

# --- Django -----------------------------------------------------------------
INSTALLED_APPS = [
    "project",
    "smtpd",
    "aliases",
    "lists",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "django_htmx",
    "template_partials",
    "lucide",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
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
AUTH_USER_MODEL = "project.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
USE_TZ = True
TIME_ZONE = env.str("TIME_ZONE", "UTC")
LANGUAGE_CODE = "en"
STATIC_URL = "static/"
STATIC_ROOT = FOLKMOOT_DATA / "static"
STATICFILES_DIRS = [BASE_DIR / "project" / "static"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
CSRF_TRUSTED_ORIGINS = [BASE_URL]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BASE_URL.startswith("https:")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", "INFO")},
}
