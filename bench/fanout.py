"""Copies for many members, from the frozen ledger to the sink.

Worker processes claim, render, sign, send and record; the sink, PostgreSQL
and they share the machine.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from django.db import connection

from bench.counting import BODY, CountingSink
from smtpd.models import Delivery, Domain, Message, Outgoing

HEAD = (
    b"From: Olga <olga@lists.test>\r\nTo: talk@lists.test\r\nSubject: tea\r\n"
    b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@lists.test>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"List-Id: <talk.lists.test>\r\nList-Post: <mailto:talk@lists.test>\r\n"
)
COPY_HEAD = (
    b"List-Unsubscribe: <https://lists.test/u/{token}>,\r\n"
    b" <mailto:leave+{token}@lists.test>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
)
WORK = """
import sys, django
django.setup()
from smtpd.outbound.relay import Hop, TLS
from smtpd.queue.worker import Worker
worker = Worker("relay", Hop("127.0.0.1", int(sys.argv[1]), tls=TLS.NONE), 5)
worker.serve(0)
import resource
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
idle = cpu()
print("ready", flush=True)
sys.stdin.readline()
while worker.serve(): pass
worker.stop()
print(cpu() - idle, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run gave."""

    copies: int
    seconds: float
    first_copy: float
    statements: int
    worker_cpu: float

    @property
    def rate(self) -> float:
        return self.copies / self.seconds


def make_key() -> str:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def freeze(copies: int, domain: Domain | None, *, verp: bool) -> None:
    """A message for that many, as a list's fan-out leaves it."""
    raw = HEAD + b"\r\n" + BODY
    message = Message.objects.create(
        size=len(raw), sha256="", body_at=len(HEAD) + 2, raw=raw
    )
    outgoing = Outgoing.objects.create(
        message=message,
        lane=Outgoing.Lane.BULK,
        envelope=Outgoing.Envelope.VERP if verp else Outgoing.Envelope.FIXED,
        reverse_path="lists.test" if verp else "talk-owner@lists.test",
        head=HEAD,
        copy_head=COPY_HEAD if verp else b"",
        dkim_domain=domain,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO smtpd_delivery (outgoing_id, address, ref, destination, lane,"
            " state, attempts, claims, ambiguous, next_attempt_at, enhanced, text,"
            " host, updated_at) SELECT %s, 'member' || n || '@home.test', n, 'relay',"
            " 1, 'queued', 0, 0, 0, now(), '', '', '', now()"
            " FROM generate_series(1, %s) AS n",
            [outgoing.pk, copies],
        )


def transactions() -> int:
    """Of this database since it was made: one for each statement of a worker."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT xact_commit FROM pg_stat_database"
            " WHERE datname = current_database()"
        )
        return int(cursor.fetchone()[0])


def run(
    copies: int, *, domain: Domain | None = None, verp: bool = True, workers: int = 2
) -> Figures:
    """Send that many copies by that many processes and measure."""
    sink = CountingSink()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORK, str(sink.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(workers)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    freeze(copies, domain, verp=verp)
    before, started_at = transactions(), time.monotonic()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    count, first, last = sink.count()
    sink.close()
    time.sleep(1.5)
    statements = transactions() - before
    assert count == copies, f"{count} of {copies} copies"
    left = Delivery.objects.exclude(state=Delivery.State.SENT).count()
    assert not left, f"{left} rows not sent"
    return Figures(
        copies,
        last - started_at,
        first - started_at,
        statements,
        sum(float(output.split()[-1]) for output in outputs),
    )
