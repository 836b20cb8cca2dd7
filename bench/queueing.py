"""Queue one message for all members of a list, alike for all: what an alias sends.

    python -m bench.queueing LIST

in the environment of a site; prints the moment of the commit.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from typing import Any

import django
from django.apps import apps
from django.db import transaction

from bench.letters import letter


def queue(address: str) -> None:
    """As an alias does it, but for as many as a list has."""
    raw = letter(address, 0, salt=time.monotonic_ns())
    body_at = raw.index(b"\r\n\r\n") + 4
    subscription = apps.get_model("lists", "Subscription")
    outgoing_model = apps.get_model("smtpd", "Outgoing")
    outgoing = outgoing_model.objects.create(
        message=_latest(),
        lane=outgoing_model.Lane.BULK,
        envelope=outgoing_model.Envelope.FIXED,
        reverse_path="olga@example.org",
        head=raw[: body_at - 2],
        body=raw[body_at:],
    )
    local_part = address.partition("@")[0]
    members = subscription.objects.filter(mailing_list__address__local_part=local_part)
    rows = members.order_by().values_list("subscriber__address", "pk")
    # Django has to be there before a module with models.
    import_module("smtpd.queue.actions").enqueue(outgoing, rows)


def _latest() -> Any:
    """Any message: the copies hang on one."""
    return apps.get_model("smtpd", "Message").objects.latest("pk")


if __name__ == "__main__":
    django.setup()
    with transaction.atomic():
        queue(sys.argv[1])
    print(time.monotonic())
