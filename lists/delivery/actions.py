"""The verbs of delivery: compile a post once, freeze who gets it."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from lists.delivery import rewrite
from lists.delivery.rewrite import Original, Style
from lists.models import MailingList, Post, Subscription
from smtpd import fields, utf8
from smtpd.events import add_event
from smtpd.models import Delivery, Message, Outgoing
from smtpd.queue import actions as queue
from smtpd.reports import actions as reports
from smtpd.routing import Route

log = logging.getLogger(__name__)

DELIVERED_TO = "Delivered-To"
# A nudge is not late before this.
PATIENCE = timedelta(seconds=3)
# After so many others get a turn.
POSTS_AT_ONCE = 200
# How far back the sweep looks for failures.
MEMORY = timedelta(days=1)


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
    return Outgoing.objects.create(
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

    A post that another process has in its hands is passed over, and so is one
    that cannot be compiled: it waits, and the log says why.
    """
    failed: list[int] = []
    for _ in range(POSTS_AT_ONCE):
        with transaction.atomic():
            post_id = _next(failed)
            if post_id is None:
                return False
            try:
                fan_out(post_id)
            except (ValueError, LookupError, TypeError):
                log.exception("post=%s fan-out=failed", post_id)
                failed.append(post_id)
    return True


def _next(failed: list[int]) -> int | None:
    waiting = Post.objects.to_fan_out().exclude(pk__in=failed).order_by("created_at")
    if connection.features.has_select_for_update_skip_locked:
        waiting = waiting.select_for_update(skip_locked=True)
    return waiting.values_list("pk", flat=True).first()


@transaction.atomic
def fan_out(post_id: int) -> int:
    """Freeze the recipients of an accepted post; return how many they are.

    All or nothing, once: a second call, or one at the same time, is 0 and
    changes nothing. Who joins or leaves afterwards changes nothing either.
    The author gets a copy like everybody.
    """
    mine = Post.objects.to_fan_out().filter(pk=post_id)
    if not mine.update(fanned_out_at=timezone.now()):
        return 0
    post = Post.objects.select_related(
        "mailing_list__address__domain", "message", "outgoing"
    ).get(pk=post_id)
    outgoing = post.outgoing or compile_post(post)
    count = queue.freeze(
        outgoing,
        post.mailing_list.subscriptions.receiving()
        .order_by()
        .values_list("subscriber__address", "pk", "subscriber__domain"),
    )
    Post.objects.filter(pk=post_id).update(outgoing=outgoing, recipients=count)
    people = "1 recipient" if count == 1 else f"{count} recipients"
    add_event(post.message, "frozen", f"{post.mailing_list.name}: frozen to {people}.")
    log.info("%s post=%s recipients=%s", post.message.key, post_id, count)
    return count


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
