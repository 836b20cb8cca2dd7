"""Every setting, from the environment or with a default that works.

docs/settings.md explains each; a test compares it with this file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import environ

from project import look

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# --- where things are -------------------------------------------------------
FOLKMOOT_DATA = Path(env.str("FOLKMOOT_DATA", str(BASE_DIR / "var"))).resolve()
WEB_BIND = env.str("WEB_BIND", "127.0.0.1:8000")
SMTP_BIND = env.str("SMTP_BIND", "127.0.0.1:2525")
# People with an account: STARTTLS (587), TLS from the first octet (465).
SUBMISSION_BIND = env.str("SUBMISSION_BIND", "")
SUBMISSIONS_BIND = env.str("SUBMISSIONS_BIND", "")
# For a mail server in front: `host:port` or the path of a unix socket.
LMTP_BIND = env.str("LMTP_BIND", "")
LOOKUP_BIND = env.str("LOOKUP_BIND", "")
BASE_URL = env.str("BASE_URL", f"http://{WEB_BIND}").rstrip("/")
SMTP_HOSTNAME = env.str("SMTP_HOSTNAME", "") or socket.getfqdn()
# Processes that serve pages; each has four threads.
WEB_PROCESSES = env.int("WEB_PROCESSES", 1)


def _secret_key() -> str:
    """The key in the data folder; made and kept there the first time."""
    path = FOLKMOOT_DATA / "secret_key"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    FOLKMOOT_DATA.mkdir(parents=True, exist_ok=True)
    # Whole or not at all: another process may be reading, or making its own.
    draft = FOLKMOOT_DATA / f".secret_key.{os.getpid()}"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(48))
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
    return path.read_text().strip()


SECRET_KEY = env.str("SECRET_KEY", "") or _secret_key()
DEBUG = env.bool("DEBUG", False)
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
_host = urlsplit(BASE_URL).hostname or "*"
_loopback = ["127.0.0.1", "localhost", "[::1]"]
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=_loopback if _host in _loopback else [_host]
)

# --- mail -------------------------------------------------------------------
# `mailbox`, `host:port` or `mx`.
RELAY = env.str("RELAY", "mailbox")
RELAY_USER = env.str("RELAY_USER", "")
RELAY_PASSWORD = env.str("RELAY_PASSWORD", "")
# `none`, `opportunistic` (STARTTLS when offered), `starttls` (or nothing is
# sent) or `implicit`.
RELAY_TLS = env.str("RELAY_TLS", "opportunistic")
RELAY_CONNECTIONS = env.int("RELAY_CONNECTIONS", 10)
# For RELAY=mx: connections to all servers together; whether mail may go to
# private addresses; which DNS server to ask, as `address:port`.
MX_CONNECTIONS = env.int("MX_CONNECTIONS", 400)
MX_PRIVATE = env.bool("MX_PRIVATE", False)
DNS_SERVER = env.str("DNS_SERVER", "")
MX_PORT = env.int("MX_PORT", 25)
# Bytes: what EHLO announces as SIZE.
MAX_MESSAGE_SIZE = env.int("MAX_MESSAGE_SIZE", 26_214_400)
# What one account may send to in a day (UTC); 0 is no limit.
SUBMISSION_DAILY_RECIPIENTS = env.int("SUBMISSION_DAILY_RECIPIENTS", 1000)
# PEM files for STARTTLS on the listener; both or none.
TLS_CERT = env.str("TLS_CERT", "")
TLS_KEY = env.str("TLS_KEY", "")
# What senders to a moved address hear (RFC 5321 3.4) unless its domain or it
# says otherwise: `forward`, `tell` (251), `refer` (551) or `refuse` (550 5.1.6).
MOVED_POLICY = env.str("MOVED_POLICY", "forward")
# Whether anybody is told a new address at all, whatever was chosen.
MOVED_DISCLOSE = env.bool("MOVED_DISCLOSE", False)
# Days after which a delivery is given up (RFC 5321 4.5.4.1).
GIVE_UP_DAYS = env.int("GIVE_UP_DAYS", 5)
# A bounce counts against a member only after so many minutes: others may fail
# with it. More than so many copies of a post, or people of a domain, and more
# than so many percent: nobody is counted until a person decides.
BOUNCE_WAIT_MINUTES = env.int("BOUNCE_WAIT_MINUTES", 60)
BOUNCE_WAVE_COPIES = env.int("BOUNCE_WAVE_COPIES", 10)
BOUNCE_WAVE_PERCENT = env.int("BOUNCE_WAVE_PERCENT", 20)
# Days for which recipients and mail that is over are kept; 0 keeps everything.
KEEP_DAYS = env.int("KEEP_DAYS", 30)
# Seconds after which the rows of a worker that died are due again.
LEASE_SECONDS = env.int("LEASE_SECONDS", 60)
# Networks of proxies that say whom they bring (PROXY protocol), in front of
# SMTP_BIND, SUBMISSION_BIND and SUBMISSIONS_BIND; comma-separated.
PROXY_FROM = env.str("PROXY_FROM", "")
# Zones of DNS blocklists; whom one lists is refused at SMTP_BIND.
DNSBL = env.list("DNSBL", default=[])
# Seconds another machine has to wait for our greeting without talking; 0 is off.
GREETING_PAUSE = env.float("GREETING_PAUSE", 0.2)
SMTP_PROCESSES = env.int("SMTP_PROCESSES", 1)
WORKERS = env.int("WORKERS", os.cpu_count() or 1)
# The doors for mail, in the order they are asked; see project/mailroutes.py.
MAIL_ROUTES = "project.mailroutes"
EMAIL_BACKEND = "smtpd.queue.mail.EmailBackend"
DEFAULT_FROM_EMAIL = env.str(
    "DEFAULT_FROM_EMAIL", f"Folkmoot <postmaster@{SMTP_HOSTNAME}>"
)
SERVER_EMAIL = DEFAULT_FROM_EMAIL

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
    # Each thread keeps its connection. What is asked often is planned once, and
    # a message travels as it is and not as text twice its size.
    DATABASES["default"]["OPTIONS"] = {
        "server_side_binding": True,
        "prepare_threshold": 4,
    }
    DATABASES["default"]["CONN_MAX_AGE"] = 600
    # A server that was restarted costs a connection, not a 451.
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- broker -----------------------------------------------------------------
EMBEDDED_BROKER = FOLKMOOT_DATA / "valkey.sock"
_embedded_path = quote(str(EMBEDDED_BROKER))
BROKER_URL = env.str("BROKER_URL", f"redis+socket://{_embedded_path}?virtual_host=0")
CELERY_BROKER_URL = BROKER_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# The database's connections outlive a task; project/celery.py looks after them.
CELERY_DB_REUSE_MAX = 1_000_000_000
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# For ever; project/consumer.py says how often.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
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
    # A message nobody took within its period is dropped: a new one is there.
    "sweep-queue": {
        "task": "smtpd.queue.tasks.sweep",
        "schedule": 5.0,
        "options": {"expires": 5.0},
    },
    "sweep-lists": {
        "task": "lists.tasks.sweep",
        "schedule": 5.0,
        "options": {"expires": 5.0},
    },
    # Senders who are owed a report.
    "sweep-reports": {
        "task": "smtpd.reports.tasks.sweep",
        "schedule": 5.0,
        "options": {"expires": 5.0},
    },
    # What failed an hour ago, alone or with many others.
    "count-bounces": {
        "task": "lists.bounces.tasks.count_bounces",
        "schedule": 60.0,
        "options": {"expires": 60.0},
    },
    # Further tries that a large post kept waiting; destinations nobody needs.
    "tidy-queue": {
        "task": "smtpd.queue.tasks.tidy",
        "schedule": 600.0,
        "options": {"expires": 600.0},
    },
    # What is older than KEEP_DAYS goes, a little at a time.
    "prune": {
        "task": "smtpd.retention.tasks.prune",
        "schedule": 300.0,
        "options": {"expires": 300.0},
    },
    # Unanswered sign-ups are not kept.
    "forget-questions": {
        "task": "lists.subscriptions.tasks.forget_questions",
        "schedule": 3600.0,
        "options": {"expires": 3600.0},
    },
    # Leaves the time in the cache for /healthz.
    "beat": {
        "task": "project.tasks.beat",
        "schedule": 15.0,
        "options": {"expires": 15.0},
    },
}


def _cache(broker: str) -> dict[str, Any]:
    """The broker's Redis, database 1: a rate limit counts in all processes."""
    backend = "django.core.cache.backends.redis.RedisCache"
    parts = urlsplit(broker)
    if parts.scheme == "redis+socket":
        return {"BACKEND": backend, "LOCATION": f"unix://{parts.path}?db=1"}
    if parts.scheme in {"redis", "rediss"}:
        return {"BACKEND": backend, "LOCATION": parts._replace(path="/1").geturl()}
    return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


# Two sites on one Redis differ in the broker's database number.
_site = f"folkmoot{urlsplit(BROKER_URL).path}"
CACHES = {"default": {**_cache(BROKER_URL), "KEY_PREFIX": _site}}

# --- Django -----------------------------------------------------------------
INSTALLED_APPS = [
    "project",
    "smtpd",
    "aliases",
    "lists",
    "unfold",
    # Found by project/urls.py, so that only the processes with pages load it.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    # For FORM_RENDERER: the templates of Django's own widgets.
    "django.forms",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "django_htmx",
    "template_partials",
    "lucide",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "project.security.content_security_policy",
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
                "project.navigation.navigation",
            ],
        },
    },
]
FORM_RENDERER = "project.forms.Renderer"
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
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- the admin ---------------------------------------------------------------
UNFOLD = look.UNFOLD

# --- people -----------------------------------------------------------------
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "project.accounts.Adapter"
ACCOUNT_FORMS = {"request_login_code": "project.accounts.AskForCodeForm"}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
ACCOUNT_LOGIN_BY_CODE_TIMEOUT = 900
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
# An unknown address sees the same page and gets no mail: whoever types it may
# not be its owner.
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
# Proxies before us whose X-Forwarded-For is believed; with too few all people
# behind them share one rate limit.
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXIES", 0)
CSRF_TRUSTED_ORIGINS = [BASE_URL]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BASE_URL.startswith("https:")
if ALLAUTH_TRUSTED_PROXY_COUNT:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Said by project/checks.py in our words, or the proxy's business (HSTS, redirect).
SILENCED_SYSTEM_CHECKS = [f"security.W{n:03}" for n in (4, 8, 9, 12, 16, 18, 20)]

# The line below names neither place, thread nor process, and to look them up for
# each line takes longer than to write it (the logging HOWTO's "Optimization").
logging._srcfile = None
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", "INFO")},
    "loggers": {
        # Two lines for each task, and there are many: the rows tell more.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.worker.request": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
