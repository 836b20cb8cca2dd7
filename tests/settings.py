"""The product's settings on a stage of its own: no file or port of a real site.

Whatever the environment says stands: DATABASE_URL=postgres://... runs the same
tests on PostgreSQL.
"""

import atexit
import os
import shutil
import tempfile

if "FOLKMOOT_DATA" not in os.environ:
    # pytest-xdist's workers inherit it; only the process that made it removes it.
    os.environ["FOLKMOOT_DATA"] = tempfile.mkdtemp(prefix="folkmoot-test-")
    atexit.register(shutil.rmtree, os.environ["FOLKMOOT_DATA"], ignore_errors=True)
# Stacks take the broker that was asked for; here a nudge goes no further than
# this process, or tests that run side by side would take each other's.
os.environ.setdefault("TEST_BROKER_URL", os.environ.get("BROKER_URL", ""))
os.environ["BROKER_URL"] = "memory://"
os.environ.setdefault("BASE_URL", "http://testserver")
os.environ.setdefault("SMTP_HOSTNAME", "mx.folkmoot.test")

from project.settings import *  # noqa: F403 - the environment comes first
from project.settings import DATABASES, FOLKMOOT_DATA

# A file, not shared memory: threads see each other as in production.
DATABASES["default"].setdefault("TEST", {})
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["TEST"]["NAME"] = str(FOLKMOOT_DATA / "test.sqlite3")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True
