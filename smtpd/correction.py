"""What a sender hears about an address that has moved (RFC 5321 3.4). Pure.

The nearest choice stands: the address's own, else its domain's, else the
site's. Above all of them is the site's switch: where new addresses are not
told, telling becomes keeping silent, and forwarding or refusing stays.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from smtpd import replies
from smtpd.replies import Reply


class Correction(StrEnum):
    """The four ways of RFC 5321 3.4."""

    # 250: mail goes on, and senders notice nothing.
    FORWARD = "forward"
    # 251: mail goes on, and the sender's server hears where.
    TELL = "tell"
    # 551: refused, with the new address.
    REFER = "refer"
    # 550 5.1.6: refused, without it.
    REFUSE = "refuse"

    @property
    def forwards(self) -> bool:
        """Whether mail reaches the new address."""
        return self in (Correction.FORWARD, Correction.TELL)

    @property
    def discloses(self) -> bool:
        """Whether the sender hears the new address."""
        return self in (Correction.TELL, Correction.REFER)

    @property
    def silent(self) -> Correction:
        """The same without telling."""
        return Correction.FORWARD if self.forwards else Correction.REFUSE


LABELS = {
    Correction.FORWARD: "Forward, and say nothing",
    Correction.TELL: "Forward, and tell the new address",
    Correction.REFER: "Refuse, and tell the new address",
    Correction.REFUSE: "Refuse, and say only that it has moved",
}
CHOICES = [(each.value, label) for each, label in LABELS.items()]
MUTED = "Telling the new address was chosen, but this site tells none."
_STEPS = {
    Correction.FORWARD: "mail goes there, and the sender is not told",
    Correction.TELL: "mail goes there, and the sender is told",
    Correction.REFER: "mail is refused, and the sender is told where to write",
    Correction.REFUSE: "mail is refused, and the sender is not told where to write",
}


class Decision(NamedTuple):
    """What holds for one address, and why."""

    correction: Correction
    # Whose choice it is: the address, its domain or this site.
    level: str
    # Telling was chosen, and the site's switch forbids it.
    is_muted: bool = False

    @property
    def label(self) -> str:
        """What people choose it by."""
        return LABELS[self.correction]

    def __str__(self) -> str:
        """Return it as the explain tool says it, behind the new address."""
        said = f"{_STEPS[self.correction]}, as the {self.level} says."
        return f"{said} {MUTED}" if self.is_muted else said


def decide(address: str, domain: str, site: str, *, may_disclose: bool) -> Decision:
    """Return what holds: the first choice that is not empty, under the switch."""
    choices = (("address", address), ("domain", domain), ("site", site))
    level, chosen = next((level, name) for level, name in choices if name)
    correction = Correction(chosen)
    if correction.discloses and not may_disclose:
        return Decision(correction.silent, level, is_muted=True)
    return Decision(correction, level)


def reply(correction: Correction, mailbox: str) -> Reply:
    """What RCPT is answered for a person who is at `mailbox` now.

    A mailbox that does not fit into ASCII is not told: the client need not
    understand it (RFC 6531 3.7.4.2).
    """
    if not mailbox.isascii():
        correction = correction.silent
    return _REPLIES[correction].fill(mailbox=mailbox)


_REPLIES = {
    Correction.FORWARD: replies.RCPT_OK,
    Correction.TELL: replies.WILL_FORWARD,
    Correction.REFER: replies.MOVED_TO,
    Correction.REFUSE: replies.MOVED,
}

# 551 by itself, or whatever has the enhanced code (RFC 3463 3.2).
_MOVED = re.compile(r"551(?![ -]?[245]\.)\b|(?:5\d\d )?5\.1\.6\b")
_MAILBOX = re.compile(r"<([^<>@\s]{1,64}@[^<>@\s]{1,255})>")
_BARE = re.compile(r"(?<![^\s:(])([^<>@\s:;,()]{1,64}@[a-z0-9.-]{1,254}[a-z0-9])", re.I)


def new_address(said: str, old: str) -> str:
    """Where another server says the person of `old` is now, or nothing.

    `said` begins with the codes: `551 5.1.6 User not local; please try <x@y>`.
    It is a stranger's word: to be shown to a person, never acted on.
    """
    if not _MOVED.match(said):
        return ""
    found = _MAILBOX.findall(said) + _BARE.findall(said)
    others = [mailbox for mailbox in found if mailbox.lower() != old.lower()]
    return others[0] if others else ""
