"""The gateway from the web to mail (RFC 5321 3.7).

A message that was written on a page goes the way of all mail: routed, judged
and stored in one transaction. Its trace field says that it came by the web,
failures are told to its author, and no trace field is ever altered: there is
none before ours.
"""

from __future__ import annotations

from django.utils import timezone

from smtpd import intake, paths, replies, routing
from smtpd.draft import Draft
from smtpd.envelope import Envelope
from smtpd.models import Address, Message
from smtpd.paths import Path
from smtpd.replies import Reply


def accept(draft: Draft, *, by: int) -> Reply:
    """Take a message from the web; positive when it is on stable storage.

    `by` is the user who is signed in and whose mailbox the author's is: the
    caller knows that. Two calls with the same Message-ID are the doors'
    business, as in SMTP (RFC 1047).
    """
    if not may_write(draft.author):
        return replies.SENDER_NOT_ALLOWED
    route = routing.resolve(draft.to)
    if isinstance(route, Reply):
        return route
    envelope = Envelope(
        reverse_path=str(draft.author),
        routes=[route],
        forward_paths=[str(draft.to)],
        needs_utf8=draft.author.is_utf8 or draft.to.is_utf8,
        protocol="",
        source=Message.Source.WEB,
        submitter=by,
    )
    return intake.accept(envelope, draft.compose(timezone.localtime()))


def may_write(author: Path) -> bool:
    """Whether an answer or a report to this mailbox reaches a person.

    RFC 5321 3.7.4 and 3.7.5: fully qualified, and never a list of ours: a
    report to a list is a post.
    """
    if author.is_null or "." not in author.domain or author.domain.startswith("["):
        return False
    lists = Address.objects.named(str(author)).filter(kind=Address.Kind.LIST)
    return not lists.exists()


def mailbox(address: str) -> Path | None:
    """The mailbox of a signed-in person if mail may be written from it."""
    try:
        path = paths.mailbox(address)
    except paths.BadPath:
        return None
    return path if may_write(path) else None
