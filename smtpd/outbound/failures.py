"""Why a copy was not taken, whose fault that is, and what follows. Pure.

A refusal has a code, an enhanced code (RFC 3463) and words, and any of them may
be wrong. What a server says about us (blocklists, reputation, too much at once)
is believed whatever the codes say; then the enhanced code, where it says enough;
then the words; then the plain code and the stage at which it was said.

docs/operating.md, "What a refusal means", has the table for people.
"""

from __future__ import annotations

import re
from enum import StrEnum

from smtpd.outbound.wordings import ABOUT_US, WORDINGS


class Failure(StrEnum):
    """The class of a refusal."""

    # There is no such mailbox, or no such domain.
    UNKNOWN = "unknown"
    # It is somewhere else now (RFC 5321 3.4).
    MOVED = "moved"
    # It is there and takes no mail.
    DISABLED = "disabled"
    FULL = "full"
    # This message, or its author, is not wanted there.
    POLICY = "policy"
    # We are not wanted there: our address, name, domain or password.
    BLOCKED = "blocked"
    # SPF, DKIM or DMARC of a domain of ours, or of an author's.
    AUTH = "auth"
    # Too much at once, or too early (greylisting).
    RATE = "rate"
    # No reply, no way there, or trouble of their own.
    NETWORK = "network"
    SIZE = "size"
    # Our commands were not understood.
    PROTOCOL = "protocol"
    # No refusal: whoever runs this site gave it up.
    STOPPED = "stopped"


class Stage(StrEnum):
    """What the server was asked when it said so."""

    # In a report that came back, or it said nothing.
    UNSEEN = ""
    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    # The whole message, with its final dot.
    DOT = "message"


class Effect(StrEnum):
    """What a failure says against the address."""

    HARD = "hard"
    SOFT = "soft"
    NONE = "none"


# In the words of a person; the reply itself stands beside it.
WORDS = {
    Failure.UNKNOWN: "There is no such mailbox",
    Failure.MOVED: "They have moved to another address",
    Failure.DISABLED: "Their mailbox takes no mail",
    Failure.FULL: "Their mailbox is full",
    Failure.POLICY: "Their server did not want this message",
    Failure.BLOCKED: "Their server does not accept mail from us",
    Failure.AUTH: "Their server could not tell that the sender is real",
    Failure.RATE: "Their server takes mail from us more slowly",
    Failure.NETWORK: "Their server could not be reached or had trouble",
    Failure.SIZE: "The message is too large for them",
    Failure.PROTOCOL: "Their server did not understand ours",
    Failure.STOPPED: "Whoever runs this site gave it up",
}
# Ours to mend, or soon over: tried again although the reply says never.
_DEFERRED = frozenset({Failure.BLOCKED, Failure.RATE})
_SLOWING = _DEFERRED
_EFFECTS = {
    Failure.UNKNOWN: Effect.HARD,
    Failure.MOVED: Effect.HARD,
    Failure.DISABLED: Effect.SOFT,
    Failure.FULL: Effect.SOFT,
    Failure.NETWORK: Effect.SOFT,
}

_PERMANENT = 500
_CLOSING = 421
# Codes in the words alone: `(#5.1.1)`.
_HIDDEN = re.compile(r"#([45]\.\d{1,3}\.\d{1,3})(?![\d.])")

# By the detail of the enhanced code, its class left out: RFC 3463, RFC 5248, RFC
# 7293, RFC 7372, RFC 7505; beyond 100 Exchange Online's own. Those that are used
# for anything (x.0, 4.1, 5.x, 7.0, 7.1) are not here: words come first.
_BY_DETAIL = {
    **dict.fromkeys(("1.1", "1.2", "1.3", "1.4", "1.10"), Failure.UNKNOWN),
    "1.6": Failure.MOVED,
    **dict.fromkeys(("1.7", "1.8"), Failure.AUTH),
    "2.1": Failure.DISABLED,
    "2.2": Failure.FULL,
    "2.3": Failure.SIZE,
    "2.4": Failure.NETWORK,
    **dict.fromkeys(("2.121", "2.122"), Failure.RATE),
    **dict.fromkeys(("3.1", "3.2", "3.5"), Failure.NETWORK),
    "3.4": Failure.SIZE,
    "4.5": Failure.RATE,
    "4.310": Failure.UNKNOWN,
    "5.3": Failure.PROTOCOL,
    **dict.fromkeys(("7.17", "7.18"), Failure.UNKNOWN),
    **dict.fromkeys(("7.20", "7.21", "7.22", "7.23", "7.24"), Failure.AUTH),
    "7.25": Failure.BLOCKED,
    **dict.fromkeys(("7.26", "7.27", "7.29", "7.30"), Failure.AUTH),
    "7.28": Failure.RATE,
    **dict.fromkeys(("7.509", "7.515"), Failure.AUTH),
    **dict.fromkeys(("7.511", "7.703", "7.705", "7.708", "7.750"), Failure.BLOCKED),
    **dict.fromkeys((f"7.{n}" for n in range(606, 650)), Failure.BLOCKED),
}
_BY_SUBJECT = {
    "1": Failure.UNKNOWN,
    "2": Failure.DISABLED,
    "3": Failure.NETWORK,
    "4": Failure.NETWORK,
    "5": Failure.PROTOCOL,
    "6": Failure.POLICY,
    "7": Failure.POLICY,
}
_BY_CODE = {
    421: Failure.RATE,
    450: Failure.DISABLED,
    **dict.fromkeys((500, 501, 502, 503, 504, 555), Failure.PROTOCOL),
    **dict.fromkeys((521, 556), Failure.UNKNOWN),
    **dict.fromkeys((530, 534, 535, 538), Failure.BLOCKED),
    551: Failure.MOVED,
}
# Who says no to a whole message means the message, not one of its readers.
_OF_THE_ADDRESS = frozenset({Stage.UNSEEN, Stage.RCPT})
_OF_A_MAILBOX = frozenset(
    {Failure.UNKNOWN, Failure.MOVED, Failure.DISABLED, Failure.FULL}
)
_BEFORE_MAIL = frozenset({Stage.GREETING, Stage.EHLO, Stage.STARTTLS, Stage.AUTH})


def classify(
    code: int | None, enhanced: str, text: str, stage: Stage = Stage.UNSEEN
) -> Failure:
    """Say why, from what was said; `code` None: there was no reply."""
    hidden = _HIDDEN.search(text)
    enhanced = enhanced or (hidden[1] if hidden else "")
    about_us = _first(ABOUT_US, text)
    if about_us:
        return about_us
    if code is not None and stage in _BEFORE_MAIL:
        return _at_the_door(code, stage)
    detail = enhanced.partition(".")[2]
    found = (
        _BY_DETAIL.get(detail)
        or _first(WORDINGS, text)
        or _by_subject(code, enhanced, detail)
        or _by_code(code, stage)
    )
    # At MAIL nobody has been named yet but the sender.
    is_of_sender = stage is Stage.MAIL and found in _OF_A_MAILBOX
    return Failure.POLICY if is_of_sender else found


def is_deferred(failure: Failure) -> bool:
    """Whether it is tried again although the reply says never."""
    return failure in _DEFERRED


def is_slowing(failure: Failure, code: int | None, enhanced: str) -> bool:
    """Whether the whole destination is to be left in peace for a while.

    Not when one mailbox alone takes no more (RFC 3463 3.3: X.2 is about it).
    """
    if enhanced[1:].startswith(".2."):
        return False
    return failure in _SLOWING or code == _CLOSING


def effect(failure: Failure, code: int | None, enhanced: str) -> Effect:
    """What it says against the address, once it is given up.

    A server that only ever said "later" has proven nothing for good.
    """
    found = _EFFECTS.get(failure, Effect.NONE)
    is_permanent = (code or 0) >= _PERMANENT or enhanced.startswith("5")
    return Effect.SOFT if found is Effect.HARD and not is_permanent else found


def _first(
    wordings: tuple[tuple[str, re.Pattern[str]], ...], text: str
) -> Failure | None:
    for name, pattern in wordings:
        if pattern.search(text):
            return Failure(name)
    return None


def _at_the_door(code: int, stage: Stage) -> Failure:
    """Before MAIL a server speaks of us alone."""
    if code in (521, 556):
        return Failure.UNKNOWN
    if code < _PERMANENT and stage is not Stage.AUTH:
        return Failure.RATE
    return Failure.BLOCKED


def _by_subject(code: int | None, enhanced: str, detail: str) -> Failure | None:
    is_later = enhanced.startswith("4")
    if detail == "4.4":
        # Unable to route: there is nobody, or DNS does not say yet.
        return Failure.NETWORK if is_later else Failure.UNKNOWN
    if is_later and detail.startswith("7."):
        return Failure.RATE
    subject, _, number = detail.partition(".")
    # X.x.0 says no more than the plain code does.
    if number == "0" and subject in ("0", "1", "5") and code is not None:
        return None
    return _BY_SUBJECT.get(subject)


def _by_code(code: int | None, stage: Stage) -> Failure:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code is None or code < _PERMANENT:
        return Failure.NETWORK
    is_address = stage in _OF_THE_ADDRESS
    if code == 552:
        return Failure.FULL if is_address else Failure.SIZE
    if code in (550, 553, 511) and is_address:
        return Failure.UNKNOWN
    return Failure.POLICY
