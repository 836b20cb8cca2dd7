"""Our own Received field: the trace that the next server reads (RFC 5321 4.4)."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from django.conf import settings
from django.utils import timezone

from smtpd.envelope import Envelope
from smtpd.models import Message

_UNSAFE = re.compile(r"[^!-'*-:=?-~]")


def received(envelope: Envelope, key: str) -> bytes:
    """Our Received field (RFC 5321 4.4).

    `for` only with one recipient: it would tell Bcc recipients to the others.
    """
    is_web = envelope.source == Message.Source.WEB
    if is_web:
        lines = _web_hop(key)
    elif envelope.submitter is not None:
        lines = _account_hop(envelope, key)
    else:
        lines = _smtp_hop(envelope, key)
    if len(envelope.forward_paths) == 1:
        lines.append(f"for <{envelope.forward_paths[0]}>")
    stamp = _stamp(int(time.time()))
    return ("Received: " + "\r\n\t".join(lines) + f"; {stamp}\r\n").encode()


@lru_cache(maxsize=2)
def _stamp(second: int) -> str:
    """Many messages come in the same second."""
    at = datetime.fromtimestamp(second, UTC)
    return format_datetime(timezone.localtime(at))


def _smtp_hop(envelope: Envelope, key: str) -> list[str]:
    helo = _UNSAFE.sub("?", envelope.helo) or "unknown"
    peer = envelope.peer
    literal = f"IPv6:{peer}" if ":" in peer else peer
    return [
        f"from {helo} ([{literal}])" if peer else f"from {helo}",
        f"by {settings.SMTP_HOSTNAME} (Folkmoot) with {envelope.protocol} id {key}",
    ]


def _account_hop(envelope: Envelope, key: str) -> list[str]:
    """Not where somebody sits, nor what their computer is called.

    The next server learns that we know who it was; the key finds it here.
    """
    host = settings.SMTP_HOSTNAME
    by = f"by {host} (Folkmoot) with {envelope.protocol} id {key}"
    return [f"from {host} (an account of this site)", by]


def _web_hop(key: str) -> list[str]:
    """RFC 5321 3.7.2: say that it came from another world.

    HTTP is neither a registered link nor a registered protocol, so it stands in
    a comment. From where the author wrote is nobody's business on a list.
    """
    host = settings.SMTP_HOSTNAME
    return [f"from {host}", f"by {host} (Folkmoot, via HTTP) id {key}"]
