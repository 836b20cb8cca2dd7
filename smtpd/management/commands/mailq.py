"""`manage.py mailq [WHAT] [--hold|--release|--retry|--fail|--drop] [--yes] [--json]`"""

from __future__ import annotations

import getpass
import json
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from smtpd.backlog import BAND_NAMES, Backlog, Standing, read_backlog
from smtpd.models import Delivery, Destination, Message
from smtpd.models.delivery import DeliveryQuerySet
from smtpd.progress import apart
from smtpd.queue import order_words, orders, pace
from smtpd.queue.orders import Order
from smtpd.selection import in_line, light, named, tell_rests

# Rows listed; whoever wants all of them asks for JSON.
MOST = 200
State = Delivery.State


class Command(BaseCommand):
    help = (
        "Show what waits to be sent and why, by destination; or the copies of one"
        " destination, message or recipient. An order says what it would touch and"
        " is carried out with --yes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "what",
            nargs="?",
            default="",
            help="a destination, a message's key, a recipient or a part of one with @",
        )
        parser.add_argument("--json", action="store_true", help="one JSON array")
        parser.add_argument(
            "--state",
            choices=[*State.values, "any"],
            help="only copies in this state; without it all that are at no end",
        )
        order = parser.add_mutually_exclusive_group()
        for name, text in (
            (
                Order.HOLD,
                "try them no more until --release or --retry; of a"
                " destination: try nothing there",
            ),
            (Order.RELEASE, "let them go on, each in its turn"),
            (Order.RETRY, "try them now"),
            (Order.FAIL, "give them up and tell the senders"),
            (Order.DROP, "give them up and tell nobody"),
        ):
            order.add_argument(
                f"--{name}", dest="order", action="store_const", const=name, help=text
            )
        parser.add_argument("--yes", action="store_true", help="do it, do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        what, order = options["what"], options["order"]
        if order and not what:
            raise CommandError(f"--{order} what? Name a destination, key or recipient.")
        if not what:
            self._summary(as_json=options["json"])
        elif order and _is_host(what) and order in (Order.HOLD, Order.RELEASE):
            self._host(what, order, is_sure=options["yes"])
            if order == Order.RELEASE:
                self._order(what, order, options)
        elif order:
            self._order(what, order, options)
        else:
            self._list(what, options)

    def _summary(self, *, as_json: bool) -> None:
        backlogs = read_backlog()
        if as_json:
            rows = [{**asdict(backlog), "count": backlog.count} for backlog in backlogs]
            self.stdout.write(json.dumps(rows, default=datetime.isoformat, indent=1))
            return
        for line in (line for backlog in backlogs for line in _text(backlog)):
            self.stdout.write(line)
        rate = pace.per_second()
        speed = f", {rate:,.1f} a second sent in the last minute" if rate else ""
        count = sum(backlog.count for backlog in backlogs)
        self.stdout.write(f"{count:,} waiting{speed}")

    def _list(self, what: str, options: dict[str, Any]) -> None:
        rows = _rows(what, options["state"])
        ordered = light(in_line(rows))
        if options["json"]:
            found = [_facts(row) for row in ordered.iterator(chunk_size=500)]
            self.stdout.write(json.dumps(found, default=datetime.isoformat, indent=1))
            return
        shown = list(ordered[: MOST + 1])
        tell_rests(shown)
        for row in shown[:MOST]:
            self.stdout.write(_line(row))
        if len(shown) > MOST:
            self.stdout.write(f"and more: these are the first {MOST}")
        elif not shown:
            self.stdout.write(
                f"nothing of {what} waits; --state any shows what is over"
            )

    def _order(self, what: str, order: Order, options: dict[str, Any]) -> None:
        rows = _rows(what, options["state"] or "any")
        if not options["yes"]:
            reach = orders.reach(order, rows)
            self.stdout.write(order_words.before(reach))
            for line in order_words.besides(reach):
                self.stdout.write(f"- {line}")
            self.stdout.write("Say it with --yes to do it.")
            return
        while True:
            done = orders.give(order, rows, _name())
            self.stdout.write(order_words.after(done))
            if not done.has_more:
                return

    def _host(self, name: str, order: Order, *, is_sure: bool) -> None:
        is_hold = order == Order.HOLD
        if is_hold and not is_sure:
            waiting = Delivery.objects.waiting().filter(destination=name).count()
            self.stdout.write(order_words.before_holding(name, waiting))
            self.stdout.write("Say it with --yes to do it.")
            return
        if is_sure:
            act = orders.hold_destination if is_hold else orders.release_destination
            words = order_words.after_host(
                name, is_hold=is_hold, has_changed=act(name, _name())
            )
            self.stdout.write(words)


def _is_host(what: str) -> bool:
    """A destination: neither a recipient nor the key of a message."""
    return "@" not in what and not Message.objects.filter(key=what.lower()).exists()


def _rows(what: str, state: str | None) -> DeliveryQuerySet:
    rows = Delivery.objects.all()
    if state is None:
        rows = rows.filter(state__in=(State.QUEUED, State.HELD, State.QUARANTINED))
    elif state != "any":
        rows = rows.filter(state=state)
    if _is_host(what):
        name = what.lower()
        is_known = Destination.objects.filter(name=name).exists()
        if not (is_known or Delivery.objects.filter(destination=name).exists()):
            raise CommandError(f"there is no destination and no message {what}")
        return rows.filter(destination=name)
    return named(rows, what)


def _name() -> str:
    return f"{getpass.getuser()} at the terminal"


def _text(backlog: Backlog) -> Iterator[str]:
    states = ", ".join(f"{count:,} {state}" for state, count in backlog.states.items())
    age = apart(backlog.oldest_at, timezone.now()) if backlog.oldest_at else ""
    yield f"{backlog.destination}: {states}; the oldest for {age}"
    ages = zip(BAND_NAMES, backlog.ages, strict=True)
    yield "  " + ", ".join(f"{count:,} {name}" for name, count in ages if count)
    if backlog.standing == Standing.HELD and backlog.held_at:
        yield f"  on hold by {backlog.held_by} since {_at(backlog.held_at)}"
    elif backlog.standing == Standing.RESTING and backlog.backoff_until:
        yield f"  resting until {_at(backlog.backoff_until)}: {backlog.last_failure}"
    elif backlog.standing == Standing.SLOWED:
        yield f"  slowed: {backlog.last_failure}"
    if backlog.in_hands:
        yield f"  {backlog.in_hands:,} in the hands of workers"
    if backlog.next_try_at:
        yield f"  next attempt {_at(backlog.next_try_at)}"
    for reason in backlog.reasons:
        yield f"  {reason.count:,} x {reason.reply}"


def _line(row: Delivery) -> str:
    said = " ".join(filter(None, (str(row.code or ""), row.enhanced, row.text)))
    why = f"{row.why}: " if row.why else ""
    return " ".join(
        filter(
            None,
            (
                f"{row.outgoing.message.key}  {row.state:<11}",
                f"{apart(row.outgoing.created_at, timezone.now()):<14}",
                f"{row.address}",
                f"({_next(row)})",
                f"{why}{said}",
            ),
        )
    )


def _next(row: Delivery) -> str:
    attempts = f"{row.attempts} tried"
    if row.state != State.QUEUED:
        return attempts
    now = timezone.now()
    if row.lease is not None and row.next_attempt_at > now:
        return f"{attempts}, a worker has it"
    if row.is_held_back:
        return f"{attempts}, its server is on hold"
    if row.next_try_at <= now:
        return f"{attempts}, due"
    return f"{attempts}, next in {apart(now, row.next_try_at)}"


def _facts(row: Delivery) -> dict[str, object]:
    return {
        "key": row.outgoing.message.key,
        "queued_at": row.outgoing.created_at,
        "next_attempt_at": row.due_at,
        **{
            name: getattr(row, name)
            for name in (
                "address",
                "destination",
                "state",
                "attempts",
                "ambiguous",
                "code",
                "enhanced",
                "text",
                "host",
                "failure",
                "updated_at",
            )
        },
    }


def _at(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S}"
