"""Every mail we write to a person about lists: one function each.

A notice comes from an address of the list that takes an answer, says that a
machine wrote it (RFC 3834), and leaves with the null envelope sender, so that
nothing answers it and no two robots talk. Nothing a stranger typed is in a
mail that a stranger can make us send.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import EmailMessage
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone

from lists.models import MailingList, MemberImport, Post, Request, Subscription, Wave
from smtpd import fields, tokens
from smtpd.correction import new_address
from smtpd.tokens import Purpose

# RFC 3834 5: written by a machine of its own accord, or as an answer.
GENERATED = "auto-generated"
REPLIED = "auto-replied"
SUBJECT_LENGTH = 150
HELD_AN_HOUR = 20

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class ControlCharacter(ValueError):
    """A header value would have become two."""


# --- to those who ask -------------------------------------------------------


def confirm_join(request: Request) -> None:
    """Ask the owner of an address whether they want to join."""
    _confirm("confirm_join", request)


def confirm_leave(request: Request) -> None:
    """Ask a member whether it was they who want to leave."""
    _confirm("confirm_leave", request)


def _confirm(name: str, request: Request) -> None:
    """Both a reply and the link's button confirm."""
    mlist = request.mailing_list
    token = tokens.make(Purpose.CONFIRM, request.pk)
    _send(
        name,
        mlist,
        [request.address],
        {"url": f"{settings.BASE_URL}/confirm/{token}", "request": request},
        sender=f"confirm+{token}@{mlist.address.domain.name}",
    )


def already_member(request: Request, subscription: Subscription) -> None:
    """Tell a member who asked to join that they are one."""
    context = {"subscription": subscription, **_links(subscription)}
    _send("already_member", request.mailing_list, [request.address], context)


def not_member(request: Request) -> None:
    """Tell somebody who asked to leave that this address gets nothing."""
    _send("not_member", request.mailing_list, [request.address], {"request": request})


def not_open(request: Request) -> None:
    """Answer mail that asked to join a list which owners fill."""
    mlist = request.mailing_list
    context = {"owner": mlist.sub_address("owner")}
    _send("not_open", mlist, [request.address], context, auto=REPLIED)


def how_lists_work(request: Request) -> None:
    """Answer mail that a machine could not make sense of, or asked for help."""
    mlist = request.mailing_list
    context = {
        "join": mlist.sub_address("join"),
        "leave": mlist.sub_address("leave"),
        "owner": mlist.sub_address("owner"),
    }
    _send("help", mlist, [request.address], context, auto=REPLIED)


# --- to members -------------------------------------------------------------


def welcome(subscription: Subscription) -> None:
    """Greet a new member, with everything needed to leave again."""
    to = [subscription.subscriber.address]
    context = {"subscription": subscription, **_links(subscription)}
    _send("welcome", subscription.mailing_list, to, context)


def goodbye(mlist: MailingList, address: str) -> None:
    """Tell somebody who confirmed that they want to leave that it is done."""
    context = {"address": address, "join": mlist.sub_address("join")}
    _send("goodbye", mlist, [address], context)


def suspended(subscription: Subscription) -> None:
    """Tell a member whose mail came back how to get it again."""
    token = tokens.make(Purpose.RESUME, subscription.pk)
    context = {
        "subscription": subscription,
        "url": f"{settings.BASE_URL}/resume/{token}",
    }
    to = [subscription.subscriber.address]
    _send("suspended", subscription.mailing_list, to, context)


# --- to authors -------------------------------------------------------------


def post_rejected(post: Post, reason: str) -> None:
    """Tell an author that a moderator sent their post back, and why."""
    if not post.author:
        return
    mlist = post.mailing_list
    context = {"post": post, "subject": _line(post.subject), "reason": reason}
    _send(
        "post_rejected",
        mlist,
        [post.author],
        context,
        sender=mlist.sub_address("owner"),
        auto=REPLIED,
    )


# --- to owners and moderators -----------------------------------------------


def post_held(post: Post) -> None:
    """Tell owners and moderators that a post waits for one of them.

    In a flood they know already: beyond HELD_AN_HOUR nothing more is sent.
    """
    lately = post.mailing_list.posts.held().filter(
        created_at__gt=timezone.now() - timedelta(hours=1)
    )
    if lately.count() > HELD_AN_HOUR:
        return
    context = {
        "post": post,
        "subject": _line(post.subject),
        "url": f"{_list_url(post.mailing_list)}moderation/{post.pk}/",
    }
    _send_staff("post_held", post.mailing_list, _staff(post.mailing_list), context)


def owner_suspended_report(
    subscription: Subscription, kind: str, code: str, text: str
) -> None:
    """Tell owners whose mail we stopped, and what the other server said."""
    mlist = subscription.mailing_list
    address = subscription.subscriber.address
    context = {
        "subscription": subscription,
        "is_complaint": kind == "complaint",
        "code": code,
        "text": _line(text),
        "moved_to": new_address(f"{code} {_line(text)}", address),
        "url": f"{_list_url(mlist)}members/",
    }
    _send_staff("owner_suspended_report", mlist, _owners(mlist), context)


def wave(found: Wave) -> None:
    """Tell a list's owners, or who runs the site, that many failed at once."""
    context = {"wave": found, "url": f"{settings.BASE_URL}/waves/{found.pk}/"}
    if found.post is not None:
        mlist = found.post.mailing_list
        context["subject"] = _line(found.post.subject)
        _send_staff("wave", mlist, _owners(mlist), context)
        return
    subject = render_to_string("lists/mail/wave.subject.txt", context).strip()
    body = render_to_string("lists/mail/wave.txt", context)
    for address in _site_admins():
        headers = {"Auto-Submitted": GENERATED}
        EmailMessage(subject, body, None, [address], headers=headers).send()


def owner_left(subscription: Subscription) -> None:
    """Tell a domain's admins that a list of theirs has no owner any more."""
    mlist = subscription.mailing_list
    context = {
        "address": subscription.subscriber.address,
        "url": f"{_list_url(mlist)}members/",
    }
    _send_staff("owner_left", mlist, _owners(mlist), context)


def import_done(job: MemberImport) -> None:
    """Tell the owner who started an import how it went."""
    email = getattr(job.by, "email", "")
    if not email:
        return
    mlist = job.mailing_list
    context = {"job": job, "url": f"{_list_url(mlist)}members/import/"}
    _send_staff("import_done", mlist, [email], context)


def _owners(mlist: MailingList) -> list[str]:
    owners = mlist.subscriptions.owners()
    return _addresses(mlist, owners.values_list("subscriber__address", flat=True))


def _staff(mlist: MailingList) -> list[str]:
    staff = mlist.subscriptions.staff()
    return _addresses(mlist, staff.values_list("subscriber__address", flat=True))


def _site_admins() -> list[str]:
    people = get_user_model().objects.filter(is_superuser=True, is_active=True)
    return list(people.exclude(email="").values_list("email", flat=True))


def _addresses(mlist: MailingList, found: Iterable[str]) -> list[str]:
    """A list that lost its people is looked after by its domain's admins."""
    return list(found) or list(
        mlist.address.domain.admins.filter(~Q(email="")).values_list("email", flat=True)
    )


# --- writing ----------------------------------------------------------------


def _links(subscription: Subscription) -> dict[str, str]:
    leave = tokens.make(Purpose.UNSUBSCRIBE, subscription.pk)
    resume = tokens.make(Purpose.RESUME, subscription.pk)
    return {
        "leave_url": f"{settings.BASE_URL}/u/{leave}",
        "resume_url": f"{settings.BASE_URL}/resume/{resume}",
    }


def _list_url(mlist: MailingList) -> str:
    return f"{settings.BASE_URL}/lists/{mlist.posting_address}/"


def _line(text: str) -> str:
    """One line of a stranger's text, harmless and short enough to read."""
    return " ".join(_CONTROL.sub(" ", text).split())[:SUBJECT_LENGTH]


def _send_staff(
    name: str, mlist: MailingList, to: Sequence[str], context: Mapping[str, object]
) -> None:
    """One mail each: who else looks after a list is not in it."""
    for address in to:
        _send(name, mlist, [address], context, sender=mlist.sub_address("owner"))


def _send(
    name: str,
    mlist: MailingList,
    to: Sequence[str],
    context: Mapping[str, object],
    *,
    sender: str = "",
    auto: str = GENERATED,
) -> None:
    context = {"mlist": mlist, "site": settings.BASE_URL, **context}
    subject = render_to_string(f"lists/mail/{name}.subject.txt", context).strip()
    body = render_to_string(f"lists/mail/{name}.txt", context)
    sender = fields.mailbox(mlist.name, sender or mlist.sub_address("request"))
    for value in (subject, mlist.name, sender, *to):
        if _CONTROL.search(value):
            raise ControlCharacter(f"notice {name}: control character in a header")
    EmailMessage(
        subject, body, sender, list(to), headers={"Auto-Submitted": auto}
    ).send()
