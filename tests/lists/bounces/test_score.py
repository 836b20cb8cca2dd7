"""Whose fault a refusal is, by table; and how points add up."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from lists.bounces.score import HARD, POLICY, SOFT, classify, count

TODAY = date(2026, 6, 1)


@pytest.mark.parametrize(
    ("code", "enhanced", "text", "expected"),
    [
        (
            550,
            "5.1.1",
            "The account you tried to reach does not exist",
            HARD,
        ),
        (550, "5.1.1", "<x> Recipient address rejected by policy: User unknown", HARD),
        (550, "5.1.2", "Host unknown", HARD),
        (550, "5.1.10", "RESOLVER.ADR.RecipientNotFound", HARD),
        (556, "5.1.10", "Recipient address has null MX", HARD),
        (551, "5.1.6", "User has moved", HARD),
        (551, "", "User not local; please try <x@y>", HARD),
        (550, "", "No such user here", HARD),
        (550, "", "Requested action not taken: mailbox unavailable", HARD),
        (550, "5.0.0", "User unknown", HARD),
        (553, "5.3.0", "<x>... No such user here", HARD),
        (550, "5.7.17", "Mailbox owner has changed", HARD),
        (None, "5.4.4", "Unable to route: domain does not exist", HARD),
        (550, "5.2.1", "The account is disabled", SOFT),
        (552, "5.2.2", "Mailbox full", SOFT),
        (552, "", "Requested mail action aborted: exceeded storage allocation", SOFT),
        (550, "5.0.0", "The user is over quota", SOFT),
        (452, "4.2.2", "Over quota", SOFT),
        (None, "4.4.7", "Delivery time expired", SOFT),
        (None, "", "", SOFT),
        (None, "4.4.1", "Connection timed out", SOFT),
        (450, "4.2.0", "Mailbox busy", SOFT),
        (550, "5.1.8", "Bad sender's system address", POLICY),
        (552, "5.3.4", "Message too big", POLICY),
        (552, "5.2.3", "Message exceeds maximum fixed size", POLICY),
        (552, "", "Message size exceeds maximum message size", POLICY),
        (550, "5.7.1", "Message rejected due to local policy", POLICY),
        (550, "5.7.1", "User unknown", POLICY),
        (550, "5.7.26", "Unauthenticated email is not accepted: DMARC", POLICY),
        (550, "5.7.509", "Access denied, sending domain does not pass DMARC", POLICY),
        (554, "", "5xx Service unavailable; Client host blocked using zen.x", POLICY),
        (550, "", "Your IP is on the Spamhaus blacklist", POLICY),
        (550, "5.0.0", "Mail rejected as spam", POLICY),
        (554, "5.6.0", "Message contains a virus", POLICY),
        (554, "", "Transaction failed", POLICY),
        (500, "5.5.1", "Unrecognised command", POLICY),
        (503, "", "Bad sequence of commands", POLICY),
        (421, "4.7.0", "Try again later, IP rate limited", POLICY),
        (451, "4.7.1", "Greylisted", POLICY),
        (450, "", "Too many messages from your host", POLICY),
    ],
)
def test_refusals_are_classed(
    code: int | None, enhanced: str, text: str, expected: str
) -> None:
    assert classify(code, enhanced, text) == expected


def test_a_day_counts_once() -> None:
    score, last = count(0, None, HARD, TODAY)
    assert (score, last) == (2, TODAY)
    assert count(score, last, HARD, TODAY) == (2, TODAY)
    assert count(score, last, SOFT, TODAY + timedelta(days=1)) == (
        3,
        TODAY + timedelta(days=1),
    )


@pytest.mark.parametrize(("days", "expected"), [(7, 10), (8, 2)])
def test_a_quiet_week_starts_again(days: int, expected: int) -> None:
    assert count(8, TODAY - timedelta(days=days), HARD, TODAY) == (expected, TODAY)


@pytest.mark.parametrize("kind", [POLICY, "complaint", "unknown"])
def test_what_is_not_the_members_fault_changes_nothing(kind: str) -> None:
    assert count(4, None, kind, TODAY) == (4, None)
