"""The verbs of posting: judge a message for a list, and write down what follows."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet, Subquery

from lists import notices
from lists.delivery.tasks import fan_out
from lists.models import MailingList, Post, Subscription
from lists.posting import rules
from lists.posting.rules import Policy, Standing
from smtpd import paths
from smtpd.events import add_event
from smtpd.facts import Facts
from smtpd.models import Event, Message
from smtpd.paths import BadPath
from smtpd.queue.nudge import nudge
from smtpd.statements import Prepared, insert
from smtpd.verdict import Outcome, Verdict

log = logging.getLogger(__name__)


def judge(address: int, facts: Facts) -> Verdict:
    """Say what becomes of a message to a list, while its sender waits.

    One query: the list of that address, whether it has the message, and what
    the author is there. Writes nothing. The list is what the verdict is about;
    one that is gone since RCPT is our trouble.
    """
    author = facts.authors[0] if facts.authors else ""
    found = _FOUND.annotated(address, facts.msg_id, _folded(author))
    if not found:
        raise MailingList.DoesNotExist
    mlist, (is_known, *standing) = found[0]
    policy = Policy(
        address=mlist.posting_address,
        list_id=mlist.list_id,
        help_url=f"{settings.BASE_URL}/lists/{quote(mlist.posting_address, safe='@')}/",
        posters=mlist.posters,
        others=mlist.others,
        max_size=mlist.max_size,
        standing=Standing(*standing) if standing[0] is not None else None,
        # Without a Message-ID nothing is known.
        is_duplicate=bool(facts.msg_id and is_known),
    )
    return replace(rules.judge(policy, facts), about=mlist)


def take(mlist: MailingList, message: Message, facts: Facts, verdict: Verdict) -> Post:
    """Make a post of a stored message: held, or accepted and on its way.

    A message the list already has changes nothing; its post is returned. The
    author is told nothing: a held message's From may be anybody's.
    """
    is_held = verdict.outcome is Outcome.HOLD
    fresh = Post(
        mailing_list=mlist,
        msg_id=facts.msg_id or made_msg_id(mlist, message),
        message=message,
        state=Post.State.HELD if is_held else Post.State.ACCEPTED,
        reasons=list(verdict.reasons),
        author=facts.authors[0][:320] if facts.authors else "",
        author_name=facts.author_name,
        subject=facts.subject,
    )
    is_new = insert(fresh, unless_known=True)
    post = fresh if is_new else mlist.posts.get(msg_id=fresh.msg_id)
    if not is_new:
        add_event(message, "duplicate", f"{mlist.name} already has this message.")
    elif is_held:
        why = " ".join(verdict.reasons)
        add_event(message, "held", f"Held for the moderators of {mlist.name}. {why}")
        notices.post_held(post)
    else:
        nudge(fan_out)
    log.info(
        "%s post=%s list=%s state=%s new=%s",
        message.key, post.pk, mlist.pk, post.state, is_new,
    )  # fmt: skip
    return post


def story(message: Message) -> Iterator[Event]:
    """For the trace of a message: the lists that took it without a moderator."""
    posts = message.posts.select_related("mailing_list").filter(decided_at=None)
    for post in posts.exclude(state=Post.State.HELD):
        text = f"Accepted for {post.mailing_list.name}."
        yield Event(message=message, at=post.created_at, kind="accepted", text=text)


def kept(message_ids: Sequence[int]) -> Iterable[int]:
    """What readers of a list or its moderators still see.

    A post that was rejected or discarded goes with its message.
    """
    states = (Post.State.HELD, Post.State.ACCEPTED)
    posts = Post.objects.filter(message__in=message_ids, state__in=states)
    return posts.values_list("message_id", flat=True)


def made_msg_id(mlist: MailingList, message: Message) -> str:
    """A Message-ID for a message that came without one.

    Made of the content, so that the same bytes sent again are the same post.
    """
    return f"<{message.sha256[:32]}@{mlist.address.domain.name}>"


def _folded(author: str) -> str:
    """Letter case makes no difference."""
    try:
        return str(paths.mailbox(author)).lower()
    except BadPath:
        return ""


def _find(address: int, msg_id: str, folded: str) -> QuerySet[MailingList, Any]:
    posts = Post.objects.filter(mailing_list=OuterRef("pk"), msg_id=msg_id)
    authors = Subscription.objects.filter(
        mailing_list=OuterRef("pk"), subscriber__folded=folded
    ).order_by()
    return (
        MailingList.objects.filter(address_id=address)
        .order_by()
        .annotate(
            is_known=Exists(posts),
            as_role=Subquery(authors.values("role")[:1]),
            as_posting=Subquery(authors.values("posting")[:1]),
            as_suspended_by=Subquery(authors.values("suspended_by")[:1]),
        )
    )


# Two of the same message that are stored together break the constraint of Post,
# and are stored one by one.
_FOUND = Prepared(
    _find,
    int,
    str,
    str,
    related=("address", "address__domain"),
    # What the verdict does not ask for, and what is slow to read.
    without=(
        *("description", "footer", "created_at"),
        *("address__expires_at", "address__created_at"),
        *("address__domain__description", "address__domain__created_at"),
        *("address__domain__dkim_key", "address__domain__dkim_made_at"),
    ),
    is_settled=True,
)
