"""What the next server said, and what that means for a recipient. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from smtpd.outbound.failures import Failure, Stage, classify, is_deferred, is_slowing

MAX_TEXT = 500
_ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3}(?=\s|$)")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_TOO_MUCH = 552


class Outcome(Enum):
    """How an attempt ended for one recipient."""

    # It is theirs now.
    SENT = "sent"
    TRY_LATER = "try later"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """The last word on one recipient, as the ledger keeps it."""

    outcome: Outcome
    # None: there was no reply.
    code: int | None = None
    enhanced: str = ""
    text: str = ""
    host: str = ""
    # Our final dot was sent and not answered: it may have arrived.
    is_ambiguous: bool = False
    # The sender wants to hear that it arrived, and this server will not say so.
    owes_report: bool = False
    # What the server was asked when it said so.
    stage: Stage = Stage.UNSEEN

    @property
    def failure(self) -> Failure | None:
        """Why it was not taken; None: it was."""
        if self.outcome is Outcome.SENT:
            return None
        return classify(self.code, self.enhanced, self.text, self.stage)

    @property
    def is_slowing(self) -> bool:
        """Whether the destination asks for less, and not for this one alone."""
        failure = self.failure
        return failure is not None and is_slowing(failure, self.code, self.enhanced)


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of the server: code, and the text of its lines as they came."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def is_positive(self) -> bool:
        """2xx: 251 is a yes, 252 as well (RFC 5321 3.4, 3.5.3)."""
        return 200 <= self.code <= 299

    def __str__(self) -> str:
        text = b" ".join(self.lines).decode("utf-8", "replace")
        return f"{self.code} {_UNSEEN.sub(' ', text)}"[:MAX_TEXT]


def result(reply: Reply, host: str, stage: Stage = Stage.UNSEEN) -> Result:
    """What a reply says about a recipient (RFC 5321 4.2.1).

    What is neither 2xx nor 5xx is no answer to our question: try later. So is
    a 5xx that is ours to mend, or soon over.
    """
    text = b" ".join(reply.lines).decode("utf-8", "replace")
    text = _UNSEEN.sub(" ", text)[:MAX_TEXT]
    kind = reply.code // 100
    match = _ENHANCED.match(text)
    # An enhanced code of another class than the reply is noise (RFC 3463 2).
    enhanced = match[0] if match and match[1] == str(kind) else ""
    text = text[len(enhanced) :].lstrip()
    outcome = _OUTCOMES.get(kind, Outcome.TRY_LATER)
    if outcome is Outcome.FAILED:
        failure = classify(reply.code, enhanced, text, stage)
        outcome = Outcome.TRY_LATER if is_deferred(failure) else outcome
    return Result(outcome, reply.code, enhanced, text, host, stage=stage)


_OUTCOMES = {2: Outcome.SENT, 4: Outcome.TRY_LATER, 5: Outcome.FAILED}


def recipient_result(reply: Reply, host: str, *, others: bool) -> Result:
    """A reply to RCPT. 552 behind accepted ones is 452 (RFC 5321 4.5.3.1.10)."""
    if reply.code == _TOO_MUCH and others:
        return result(Reply(_TOO_MUCH - 100, reply.lines), host, Stage.RCPT)
    return result(reply, host, Stage.RCPT)
