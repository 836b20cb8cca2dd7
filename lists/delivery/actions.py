"""The verbs of delivery: compile a post once, freeze who gets it."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from lists import notices
from lists.delivery import rewrite
from lists.delivery.rewrite import Original, Style
from lists.models import MailingList, Post, Subscription
from smtpd import fields, utf8
from smtpd.events import add_event
from smtpd.gathering import gather
from smtpd.models import Delivery, Message, Outgoing
from smtpd.queue import actions as queue
from smtpd.reports import actions as reports
from smtpd.routing import Route
from smtpd.statements import Prepared, insert

log = logging.getLogger(__name__)

DELIVERED_TO = "Delivered-To"
# A nudge is not late before this.
PATIENCE = timedelta(seconds=3)
# After so many seconds others get a turn, and a worker that is told to end can.
TURN = 0.5
# In one transaction: posts, octets of them, and at most so many recipients of one
# that is not alone.
POSTS_TOGETHER = 20
OCTETS_TOGETHER = 4 * 1024 * 1024
CROWD = 500
NOT_READY = (
    "It could not be made ready for the subscribers; the server's log says why. "
    "Approving it tries again."
)
_ROW = "(CAST(%s AS bigint), CAST(%s AS bigint), CAST(%s AS integer))"
_MARK = """
WITH done (post, outgoing, recipients) AS (VALUES {rows})
UPDATE lists_post SET
  outgoing_id = done.outgoing, recipients = done.recipients, fanned_out_at = %s
FROM done WHERE id = done.post
"""
# How far back the sweep looks for failures.
MEMORY = timedelta(days=1)


def _receiving(mailing_list: int) -> QuerySet[Subscription, Any]:
    receiving = Subscription.objects.receiving().filter(mailing_list=mailing_list)
    return receiving.order_by().values_list(
        "subscriber__address", "pk", "subscriber__domain"
    )


_RECEIVING = Prepared(_receiving, int)


def compile_post(post: Post) -> Outgoing:
    """Write down what the subscribers' copies share; call it once a post."""
    mlist, message = post.mailing_list, post.message
    domain = mlist.address.domain
    compiled = rewrite.rewrite(
        style_of(mlist),
        Original(
            raw=bytes(message.raw),
            trace=bytes(message.trace),
            msg_id=post.msg_id,
            received_at=message.received_at,
            number=post.pk,
        ),
    )
    body = compiled.body
    own = bytes(message.raw)[message.body_at :] if body is None else body
    may_have_utf8 = message.needs_utf8 or not mlist.posting_address.isascii()
    outgoing = Outgoing(
        message=message,
        lane=Outgoing.Lane.BULK,
        envelope=Outgoing.Envelope.VERP,
        reverse_path=domain.name,
        head=compiled.head,
        copy_head=compiled.copy_head,
        body=body,
        body_splices=list(compiled.splices),
        needs_8bit=message.needs_8bit or not (body is None or body.isascii()),
        needs_utf8=may_have_utf8 and utf8.is_needed(compiled.head, own),
        dkim_domain=domain if domain.dkim_key else None,
    )
    insert(outgoing)
    return outgoing


def style_of(mlist: MailingList) -> Style:
    """What a list's owner decided about the look of its posts."""
    return Style(
        name=mlist.name,
        address=mlist.posting_address,
        domain=mlist.address.domain.name,
        list_id=mlist.list_id,
        base_url=settings.BASE_URL,
        subject_prefix=mlist.subject_prefix,
        footer=mlist.footer,
        replies_go_to_list=mlist.reply_to == MailingList.ReplyTo.LIST,
        is_announce=mlist.posters == MailingList.Posters.OWNERS,
        is_archived=mlist.is_archived,
    )


def fan_out_waiting() -> bool:
    """Do so for the posts that wait, the oldest first; return whether some are left.

    Several small ones share a transaction. A post that another process has in
    its hands is passed over. One that cannot be made ready is held, for a person
    to look at.
    """
    until = time.monotonic() + TURN
    while time.monotonic() < until:
        with transaction.atomic():
            ids = _next()
            if not ids:
                return False
            _fan_out_all(ids)
    return True


def _next() -> list[int]:
    """Posts that go well together, locked: few recipients, few octets; or one."""
    waiting = Post.objects.to_fan_out().order_by("created_at")
    if connection.features.has_select_for_update_skip_locked:
        waiting = waiting.select_for_update(skip_locked=True, of=("self",))
    others = Subscription.objects.receiving().filter(
        mailing_list=OuterRef("mailing_list")
    )
    found = waiting.annotate(is_crowd=Exists(others.order_by()[CROWD : CROWD + 1]))
    rows = found.values_list("pk", "is_crowd", "message__size")[:POSTS_TOGETHER]
    ids: list[int] = []
    room = OCTETS_TOGETHER
    for pk, is_crowd, size in rows:
        room -= size
        if ids and (is_crowd or room < 0):
            break
        ids.append(pk)
        if is_crowd:
            break
    return ids


def _fan_out_all(ids: list[int]) -> None:
    """Do so for all of them, or for each by itself."""
    try:
        with transaction.atomic():
            _freeze(_open(ids))
    except (ValueError, LookupError, TypeError, DatabaseError) as error:
        if isinstance(error, OperationalError):
            raise
        if len(ids) == 1:
            _set_aside(ids[0], error)
        else:
            for pk in ids:
                _fan_out_all([pk])


def _set_aside(post_id: int, error: Exception) -> None:
    """Leave a post to its moderators that would fail again and again."""
    log.error("post=%s fan-out=failed", post_id, exc_info=error)
    post = Post.objects.get(pk=post_id)
    post.state, post.reasons = Post.State.HELD, [NOT_READY]
    post.save(update_fields=["state", "reasons"])
    name = post.mailing_list.name
    add_event(post.message, "held", f"Held for the moderators of {name}. {NOT_READY}")
    notices.post_held(post)


def fan_out(post_id: int) -> int:
    """Freeze the recipients of an accepted post; return how many they are.

    All or nothing, once: a second call, or one at the same time, is 0 and
    changes nothing. Who joins or leaves afterwards changes nothing either.
    The author gets a copy like everybody.
    """
    with transaction.atomic():
        return _freeze(_open([post_id]))


def fan_out_rest(mlist: MailingList) -> None:
    """Do so at once for all posts of a list that wait: it is about to go.

    One that cannot be made ready is held, as ever.
    """
    ids = list(mlist.posts.to_fan_out().values_list("pk", flat=True))
    for start in range(0, len(ids), POSTS_TOGETHER):
        _fan_out_all(ids[start : start + POSTS_TOGETHER])


def _open(ids: list[int]) -> list[Post]:
    """Those of them that still wait, marked as done; with all a copy is made of."""
    mine = Post.objects.to_fan_out().filter(pk__in=ids).order_by("created_at")
    if connection.features.has_select_for_update:
        mine = mine.select_for_update(of=("self",))
    related = ("mailing_list__address__domain", "message", "outgoing")
    return list(mine.select_related(*related))


def _freeze(posts: list[Post]) -> int:
    """Give each post its outgoing message, and each recipient a row."""
    with gather(len(posts)):
        for post in posts:
            post.outgoing = post.outgoing or compile_post(post)
    for post in posts:
        assert post.outgoing is not None
        recipients = _RECEIVING.sql(post.mailing_list_id)
        post.recipients = queue.freeze(post.outgoing, recipients)
    if posts:
        _mark(posts)
    with gather(len(posts)):
        for post in posts:
            _note(post)
    return sum(post.recipients for post in posts)


def _mark(posts: list[Post]) -> None:
    """Write down that they are done, in one statement that needs no wording."""
    rows = ", ".join([_ROW] * len(posts))
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    values = [v for post in posts for v in (post.pk, post.outgoing_id, post.recipients)]
    with connection.cursor() as cursor:
        cursor.execute(_MARK.format(rows=rows), [*values, now])


def _note(post: Post) -> None:
    """One line for the trace, one for the log."""
    count = post.recipients
    people = "1 recipient" if count == 1 else f"{count} recipients"
    add_event(post.message, "frozen", f"{post.mailing_list.name}: frozen to {people}.")
    log.info("%s post=%s recipients=%s", post.message.key, post.pk, count)


def is_left_behind() -> bool:
    """Whether a post was accepted whose nudge was lost."""
    late = timezone.now() - PATIENCE
    # An approved post is older than its approval: the index is on created_at.
    return Post.objects.to_fan_out().filter(created_at__lte=late).exists()


def failures_left_behind() -> list[int]:
    """Failed copies of posts that no bounce tells of yet.

    The queue reports each failure at once; this finds those of a worker that
    died in between. A subscription that is gone has no bounces.
    """
    members = Subscription.objects.filter(pk=OuterRef("ref"))
    failed = Delivery.objects.filter(
        Exists(members),
        state=Delivery.State.FAILED,
        updated_at__gte=timezone.now() - MEMORY,
        updated_at__lte=timezone.now() - PATIENCE,
        outgoing__post__isnull=False,
        bounce=None,
    )
    return list(failed.order_by("updated_at").values_list("pk", flat=True)[:500])


def forward_to_owners(mlist: MailingList, message: Message, route: Route) -> int:
    """Send mail for `list-owner` on to the owners, unchanged (RFC 5321 3.9.1).

    Delivered-To is how we know it when it comes back. Return how many got it.
    """
    people = owners_of(mlist)
    found, _ = fields.split(bytes(message.raw))
    here = rewrite.plain(DELIVERED_TO, mlist.sub_address("owner"))
    marks = bytes(message.trace) + here
    whole = replace(route, recipients=tuple(people))
    count = queue.forward(
        message,
        marks + b"".join(field.raw for field in found),
        people,
        wish=whole.wish_behind,
        written_to=whole.written_to,
    )
    if not whole.leads_to_one:
        reports.expanded(message, whole)
    names = ", ".join(people)
    add_event(message, "accepted", f"For the owners of {mlist.name}: {names}.")
    return count


def owners_of(mlist: MailingList) -> list[str]:
    """The mailboxes of those who answer for a list.

    A list that lost its owners is looked after by its domain's admins.
    """
    owners = mlist.subscriptions.owners()
    admins = mlist.address.domain.admins.exclude(email="")
    return list(
        owners.values_list("subscriber__address", flat=True)
    ) or list(admins.values_list("email", flat=True))  # fmt: skip
