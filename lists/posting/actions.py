"""The verbs of posting: judge a message for a list, and write down what follows."""

from __future__ import annotations

import logging
from urllib.parse import quote

from django.conf import settings

from lists import notices
from lists.delivery.tasks import fan_out
from lists.models import MailingList, Post, Subscription
from lists.posting import rules
from lists.posting.rules import Policy, Standing
from smtpd import paths
from smtpd.events import add_event
from smtpd.facts import Facts
from smtpd.models import Message
from smtpd.paths import BadPath
from smtpd.queue.nudge import nudge
from smtpd.statements import Prepared, insert
from smtpd.verdict import Outcome, Verdict

log = logging.getLogger(__name__)


def judge(mlist: MailingList, facts: Facts) -> Verdict:
    """Say what becomes of a message, while its sender waits. Writes nothing.

    Two queries: who the author is here, and whether the message is known.
    """
    author = facts.authors[0] if facts.authors else ""
    is_duplicate = bool(facts.msg_id) and bool(_POSTS.rows(mlist.pk, facts.msg_id))
    policy = Policy(
        address=mlist.posting_address,
        list_id=mlist.list_id,
        help_url=f"{settings.BASE_URL}/lists/{quote(mlist.posting_address, safe='@')}/",
        posters=mlist.posters,
        others=mlist.others,
        max_size=mlist.max_size,
        standing=_standing(mlist, author),
        is_duplicate=is_duplicate,
    )
    return rules.judge(policy, facts)


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
        add_event(message, "accepted", f"Accepted for {mlist.name}.")
        nudge(fan_out)
    log.info(
        "%s post=%s list=%s state=%s new=%s",
        message.key, post.pk, mlist.pk, post.state, is_new,
    )  # fmt: skip
    return post


def made_msg_id(mlist: MailingList, message: Message) -> str:
    """A Message-ID for a message that came without one.

    Made of the content, so that the same bytes sent again are the same post.
    """
    return f"<{message.sha256[:32]}@{mlist.address.domain.name}>"


def _standing(mlist: MailingList, author: str) -> Standing | None:
    """What this address is on the list; letter case makes no difference."""
    try:
        folded = str(paths.mailbox(author)).lower()
    except BadPath:
        return None
    found = _STANDING.rows(mlist.pk, folded)
    return Standing(*found[0]) if found else None


_POSTS = Prepared(
    lambda mlist, msg_id: (
        Post.objects.filter(mailing_list=mlist, msg_id=msg_id)
        .order_by()
        .values_list("pk")
    ),
    int,
    str,
)
_STANDING = Prepared(
    lambda mlist, folded: (
        Subscription.objects.filter(mailing_list=mlist, subscriber__folded=folded)
        .order_by()
        .values_list("role", "posting", "suspended_by")
    ),
    int,
    str,
)
