"""The verbs of a moderator.

Each returns False when the post had already left the queue: another moderator
was faster, and nothing is sent twice or said against the other's word.
"""

from __future__ import annotations

import logging

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from lists import notices
from lists.delivery.tasks import fan_out
from lists.models import Post
from lists.subscriptions import commands
from smtpd import facts as facts_of
from smtpd.events import add_event
from smtpd.queue.nudge import nudge

log = logging.getLogger(__name__)


@transaction.atomic
def approve(post: Post, *, by: AbstractBaseUser | None) -> bool:
    """Let a held post through to the subscribers."""
    if not _move(post, Post.State.ACCEPTED, by):
        return False
    add_event(post.message, "approved", f"Approved for {_where(post)} by {_who(by)}.")
    nudge(fan_out)
    return True


@transaction.atomic
def reject(post: Post, *, by: AbstractBaseUser | None, reason: str) -> bool:
    """Send a held post back to its author with a reason.

    A program is not answered, and neither is a null sender (RFC 3834 2).
    """
    if not _move(post, Post.State.REJECTED, by, decision=reason):
        return False
    text = f"Rejected for {_where(post)} by {_who(by)}: {reason}"
    if _takes_answers(post):
        notices.post_rejected(post, reason)
    else:
        text += " The author is not told: a program wrote it."
    add_event(post.message, "rejected", text)
    return True


@transaction.atomic
def discard(post: Post, *, by: AbstractBaseUser | None) -> bool:
    """Drop a held post; nobody is told."""
    if not _move(post, Post.State.DISCARDED, by):
        return False
    add_event(post.message, "discarded", f"Discarded for {_where(post)} by {_who(by)}.")
    return True


def _move(
    post: Post, to: str, by: AbstractBaseUser | None, *, decision: str = ""
) -> bool:
    moved = post.move(to, by=by, decision=decision)
    log.info(
        "%s post=%s state=%s by=%s moved=%s",
        post.message.key, post.pk, to, getattr(by, "pk", None), moved,
    )  # fmt: skip
    return moved


def _where(post: Post) -> str:
    return post.mailing_list.name


def _who(by: AbstractBaseUser | None) -> str:
    return str(by) if by else "the site"


def _takes_answers(post: Post) -> bool:
    """Whether a person reads what is sent to the author."""
    message = post.message
    facts = facts_of.read(bytes(message.raw), reverse_path=message.reverse_path)
    return not commands.is_automatic(facts)
