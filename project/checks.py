"""Mistakes in the configuration, each in one line that says what to do.

Errors are about a site that would lose mail or not start: `up` refuses. The
rest are warnings of `manage.py check --deploy`.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.db import Error as DatabaseError
from django.db import connection
from kombu import Connection
from kombu.exceptions import KombuError

from project import binds
from smtpd.correction import Correction
from smtpd.listener.arrival import is_within, networks

TAG = "folkmoot"
# What a listener must know before it promises anything; see its command.
DURABILITY = "durability"
# A mail server in front on the same machine may come by a unix socket.
_FOR_A_FRONT = ("LMTP_BIND", "LOOKUP_BIND")
# Labels with a dot between them.
_ZONE = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)+[A-Za-z0-9-]{2,63}")
_LOCAL = {"localhost", "127.0.0.1", "::1", None}


def is_local() -> bool:
    """Tell whether only this machine is meant to reach the site."""
    host = urlsplit(settings.BASE_URL).hostname
    return host in _LOCAL or str(host).endswith(".localhost")


def check_binds(**_: Any) -> Iterable[checks.CheckMessage]:
    """Each place to listen at is host:port, or a path where that may be."""
    names = (
        "WEB_BIND",
        "SMTP_BIND",
        "SUBMISSION_BIND",
        "SUBMISSIONS_BIND",
    )
    for name in (*names, *_FOR_A_FRONT):
        bind = getattr(settings, name)
        try:
            if name in _FOR_A_FRONT and bind.startswith("/"):
                binds.check_path(bind)
            elif bind:
                binds.split(bind)
        except ValueError as error:
            yield checks.Error(f"{name}: {error}.", id="folkmoot.E001")


def check_relay(**_: Any) -> Iterable[checks.CheckMessage]:
    """RELAY is a form that works, and RELAY_TLS one of its four."""
    if settings.RELAY == "mx":
        yield from _check_direct()
    elif settings.RELAY != "mailbox":
        try:
            host, port = binds.split(settings.RELAY)
        except ValueError:
            host, port = "", 0
        if not host or not port:
            yield checks.Error(
                f"RELAY: {settings.RELAY!r} is neither mailbox, mx nor host:port.",
                id="folkmoot.E002",
            )
    if settings.RELAY_TLS not in {"none", "opportunistic", "starttls", "implicit"}:
        yield checks.Error(
            f"RELAY_TLS: {settings.RELAY_TLS!r} is none of none, opportunistic,"
            " starttls, implicit.",
            id="folkmoot.E003",
        )


def check_moved(**_: Any) -> Iterable[checks.CheckMessage]:
    """MOVED_POLICY is one of its four, or mail to moved addresses is a 451."""
    if settings.MOVED_POLICY not in set(Correction):
        yield checks.Error(
            f"MOVED_POLICY: {settings.MOVED_POLICY!r} is none of"
            f" {', '.join(Correction)}.",
            id="folkmoot.E012",
        )


def check_submission(**_: Any) -> Iterable[checks.CheckMessage]:
    """Nobody's password travels in the clear (RFC 8314 3)."""
    for name in ("SUBMISSION_BIND", "SUBMISSIONS_BIND"):
        if getattr(settings, name) and not settings.TLS_CERT:
            yield checks.Error(
                f"{name}: without TLS_CERT and TLS_KEY nobody can log in; set them,"
                " or leave it empty.",
                id="folkmoot.E013",
            )
    if settings.SUBMISSION_DAILY_RECIPIENTS < 0:
        yield checks.Error(
            "SUBMISSION_DAILY_RECIPIENTS: less than none; 0 is no limit.",
            id="folkmoot.E013",
        )


def _check_direct() -> Iterable[checks.CheckMessage]:
    """A DNS server by its address, and TLS with whoever is there."""
    try:
        if settings.DNS_SERVER:
            ip_address(binds.split(settings.DNS_SERVER)[0])
    except ValueError:
        yield checks.Error(
            f"DNS_SERVER: {settings.DNS_SERVER!r} is not address:port.",
            id="folkmoot.E014",
        )
    if settings.RELAY_TLS in {"starttls", "implicit"}:
        yield checks.Error(
            f"RELAY_TLS: {settings.RELAY_TLS} needs a smarthost; with RELAY=mx it is"
            " opportunistic or none.",
            id="folkmoot.E003",
        )


def check_strangers(**_: Any) -> Iterable[checks.CheckMessage]:
    """What is asked of a client before it may say anything."""
    try:
        trusted = networks(settings.PROXY_FROM)
    except ValueError as error:
        trusted = ()
        yield checks.Error(f"PROXY_FROM: {error}.", id="folkmoot.E015")
    if any(is_within(address, trusted) for address in ("127.0.0.1", "::1")):
        yield checks.Error(
            "PROXY_FROM: from 127.0.0.1 and ::1 comes mail of our own, without a"
            " proxy; give a proxy on this machine an address like 127.0.0.2 to come"
            " from.",
            id="folkmoot.E015",
        )
    for zone in settings.DNSBL:
        if not _ZONE.fullmatch(zone):
            yield checks.Error(
                f"DNSBL: {zone!r} is not the name of a zone.", id="folkmoot.E016"
            )
    if not 0 <= settings.GREETING_PAUSE <= 10:
        yield checks.Error(
            f"GREETING_PAUSE: {settings.GREETING_PAUSE} is not from 0 to 10 seconds.",
            id="folkmoot.E016",
        )


def check_tls(**_: Any) -> Iterable[checks.CheckMessage]:
    """A certificate needs its key, and both can be read."""
    files = {"TLS_CERT": settings.TLS_CERT, "TLS_KEY": settings.TLS_KEY}
    if len({bool(path) for path in files.values()}) > 1:
        yield checks.Error(
            "TLS_CERT and TLS_KEY: set both or none.", id="folkmoot.E004"
        )
    for name, path in files.items():
        if path and not os.access(path, os.R_OK):
            yield checks.Error(f"{name}: cannot read {path}.", id="folkmoot.E004")


def check_data(**_: Any) -> Iterable[checks.CheckMessage]:
    """The data folder takes files, and a socket if the broker is ours."""
    folder = settings.FOLKMOOT_DATA
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield checks.Error(
            f"FOLKMOOT_DATA: cannot write to {folder} ({error.strerror}); give it to"
            " the user that runs the site.",
            id="folkmoot.E005",
        )
    too_long = len(os.fsencode(settings.EMBEDDED_BROKER)) > binds.LONGEST_PATH
    if too_long and str(settings.BROKER_URL).startswith("redis+socket:"):
        yield checks.Error(
            f"FOLKMOOT_DATA: the path of {settings.EMBEDDED_BROKER.name} in it is"
            f" longer than {binds.LONGEST_PATH} bytes; move the folder or set"
            " BROKER_URL.",
            id="folkmoot.E006",
        )


def check_database(**_: Any) -> Iterable[checks.CheckMessage]:
    """The database answers."""
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        reason = str(error).strip().splitlines()[0]
        yield checks.Error(
            f"DATABASE_URL: no connection ({reason}).", id="folkmoot.E007"
        )


def check_durability(**_: Any) -> Iterable[checks.CheckMessage]:
    """A commit is on the disk when it returns.

    A database that does not answer is another check's matter: a listener
    starts without one and says 451 until it is back.
    """
    if connection.vendor != "postgresql":
        return
    try:
        with connection.cursor() as cursor:
            yield from _check_postgresql(cursor)
    except DatabaseError:
        return


def _check_postgresql(cursor: Any) -> Iterable[checks.CheckMessage]:
    for name in ("fsync", "synchronous_commit"):
        cursor.execute(f"SHOW {name}")
        (value,) = cursor.fetchone()
        if value == "off":
            yield checks.Error(
                f"PostgreSQL: {name} is off, so mail answered with 250 can be lost;"
                f" set {name} = on.",
                id="folkmoot.E008",
            )


def broker_trouble(broker: Connection) -> tuple[type[Exception], ...]:
    """Return what a broker that does not answer raises; depends on its kind."""
    theirs: Any = broker.connection_errors
    return (OSError, KombuError, *theirs)


def check_broker(**_: Any) -> Iterable[checks.CheckMessage]:
    """The broker answers and never throws a task away to save memory."""
    if not settings.BROKER_URL.startswith(("redis://", "rediss://")):
        # The embedded one is started with the right options.
        return
    with Connection(settings.BROKER_URL, connect_timeout=5) as broker:
        try:
            channel: Any = broker.default_channel
            memory = channel.client.info("memory")
        except broker_trouble(broker) as error:
            yield checks.Error(f"BROKER_URL: no answer ({error}).", id="folkmoot.E009")
            return
    policy = memory.get("maxmemory_policy")
    if policy not in {None, "noeviction"}:
        yield checks.Error(
            f"Redis: maxmemory-policy is {policy}; set it to noeviction, or tasks"
            " vanish when memory is short.",
            id="folkmoot.E010",
        )


def check_secret(**_: Any) -> Iterable[checks.CheckMessage]:
    """Nobody can guess the key that signs unsubscribe links and sessions."""
    key = settings.SECRET_KEY
    if len(key) < 32 or len(set(key)) < 10:
        yield checks.Warning(
            "SECRET_KEY: shorter than 32 characters or too regular; unset it to have"
            " one made in FOLKMOOT_DATA, or set a random one.",
            id="folkmoot.W001",
        )


def check_web(**_: Any) -> Iterable[checks.CheckMessage]:
    """Pages do not show their insides, and travel encrypted."""
    if settings.DEBUG:
        yield checks.Warning(
            "DEBUG: is on and shows settings to strangers; unset it.",
            id="folkmoot.W002",
        )
    if not settings.BASE_URL.startswith("https:"):
        yield checks.Warning(
            f"BASE_URL: {settings.BASE_URL} is not https; mail programs refuse"
            " one-click unsubscribe over http (RFC 8058). Set the public https"
            " address.",
            id="folkmoot.W003",
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield checks.Warning(
            "ALLOWED_HOSTS: is *; name the hosts, or unset it to take BASE_URL's.",
            id="folkmoot.W004",
        )


def check_scale(**_: Any) -> Iterable[checks.CheckMessage]:
    """Several machines cannot share a SQLite file."""
    broker = urlsplit(settings.BROKER_URL)
    is_far = broker.scheme in {"redis", "rediss"} and broker.hostname not in _LOCAL
    if connection.vendor == "sqlite" and is_far:
        yield checks.Warning(
            "DATABASE_URL: SQLite with a broker on another machine; several machines"
            " need PostgreSQL.",
            id="folkmoot.W005",
        )


def register() -> None:
    """Tell Django; called once when the app is ready."""
    for always in (
        check_binds,
        check_relay,
        check_moved,
        check_submission,
        check_strangers,
        check_tls,
        check_data,
    ):
        checks.register(always, TAG)
    for deploy in (check_database, check_broker, check_secret, check_web, check_scale):
        checks.register(deploy, TAG, deploy=True)
    checks.register(check_durability, TAG, DURABILITY, deploy=True)


def at_start() -> list[checks.CheckMessage]:
    """Run all of ours; a local site is not told about https and the like."""
    found = checks.run_checks(tags=[TAG], include_deployment_checks=True)
    return [m for m in found if m.level >= checks.ERROR or not is_local()]
