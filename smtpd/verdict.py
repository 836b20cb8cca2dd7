"""What a door makes of a message: pure, facts in, verdict out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from smtpd.replies import Reply


class Outcome(Enum):
    # On its way.
    ACCEPT = "accept"
    # Kept until a moderator decides.
    HOLD = "hold"
    # The sender's server is told no.
    REFUSE = "refuse"
    # Answered 250 and dropped; the trace says why.
    DISCARD = "discard"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, why in the words of a person, and the reply of a refusal."""

    outcome: Outcome
    reasons: tuple[str, ...] = ()
    reply: Reply | None = None
    # What the door read to judge; it gets it back to take the message.
    about: object = None


ACCEPT = Verdict(Outcome.ACCEPT)
