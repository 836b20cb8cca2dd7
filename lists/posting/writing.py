"""Writing to a list on its page (RFC 5321 3.7).

Who somebody writes as, what the list would make of it, and the sending. The
rules are those for mail: the page asks them before, the gateway again.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.core import signing
from django.core.exceptions import ValidationError
from django.utils import timezone

from lists import access
from lists.access import Person
from lists.models import MailingList, Post
from lists.moderation import reading
from lists.posting import actions
from lists.subscriptions.addresses import one_line
from smtpd import draft, fields, gateway, letter, paths
from smtpd import facts as facts_of
from smtpd.draft import Draft
from smtpd.models import Message
from smtpd.paths import Path
from smtpd.verdict import Outcome, Verdict

# Messages a person may write on pages in an hour. By mail there is no such
# limit: who has a mail program has a server that knows them.
PER_HOUR = 20
HOUR = timedelta(hours=1)
# Characters. What is longer belongs in an attachment.
MAX_TEXT = 200_000
MAX_QUOTED = 10_000
_SALT = "lists.posting.writing"


class NotSent(ValidationError):
    """Nothing was stored; the messages say why, in the words of a person."""


class StaleForm(NotSent):
    """The form needs a new ticket before its button does anything."""


@dataclass(frozen=True, slots=True)
class Author:
    """Somebody who is signed in, and a mailbox that is proven to be theirs."""

    user: int
    path: Path
    name: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """What was written, and where in a thread."""

    subject: str
    text: str
    references: tuple[str, ...] = ()


def authors_on(mlist: MailingList, user: Person) -> list[Author]:
    """The mailboxes somebody may write from, the account's own first.

    Those that are on the list, else the account's; none that cannot be
    answered (RFC 5321 3.7.4).
    """
    own = str(getattr(user, "email", ""))
    rows = access.subscriptions_of(user).filter(mailing_list=mlist)
    known = {
        row.subscriber.address: row.subscriber.name
        for row in rows.select_related("subscriber")
    }
    found = []
    for address in sorted(known or {own: ""}, key=lambda a: a.lower() != own.lower()):
        if path := gateway.mailbox(address):
            name = str(getattr(user, "name", "")) or known.get(address, "")
            found.append(Author(user.pk, path, _display(name)))
    return found


def _display(name: str) -> str:
    """One line; a name that looks like an address would pass for it."""
    return "" if "@" in name else one_line(name)


def may_write(mlist: MailingList, user: Person) -> bool:
    """Whether there is any use in showing somebody the form."""
    address = mlist.address
    if not (address.is_open and address.domain.is_active):
        return False
    authors = authors_on(mlist, user) if user.is_authenticated else []
    return any(forecast(mlist, a).outcome is not Outcome.REFUSE for a in authors)


def forecast(mlist: MailingList, author: Author) -> Verdict:
    """What the list would make of the next message of this author."""
    return _judge(mlist, _draft(mlist, author, Words("?", "?"), _msg_id(mlist, "?")))


def write(
    mlist: MailingList, author: Author, words: Words, *, ticket: str
) -> tuple[Post, bool]:
    """Send a message to a list as its author would by mail.

    Return the post, and False when the ticket's message had been sent before:
    a button pressed twice sends once. Raise NotSent with the reasons.
    """
    msg_id = _read_ticket(mlist, author.user, ticket)
    if not msg_id:
        raise StaleForm("This page is too old. Nothing was sent: press Send again.")
    mail = _draft(mlist, author, words, msg_id)
    earlier = mlist.posts.filter(msg_id=msg_id).select_related("message").first()
    if earlier is None:
        _send(mlist, author, mail)
        return mlist.posts.get(msg_id=msg_id), True
    if not _says_same(earlier, mail):
        raise StaleForm(
            "What stood on this page was sent before. This is another message:"
            " press Send again if you want both."
        )
    return earlier, False


def _send(mlist: MailingList, author: Author, mail: Draft) -> None:
    verdict = _judge(mlist, mail)
    if verdict.outcome is Outcome.REFUSE:
        raise NotSent(list(verdict.reasons))
    _limit(author)
    reply = gateway.accept(mail, by=author.user)
    if not reply.is_positive:
        raise NotSent(f"{reply.text}.")


def _says_same(post: Post, mail: Draft) -> bool:
    def body(raw: bytes) -> bytes:
        return raw.partition(b"\r\n\r\n")[2]

    subject = " ".join(mail.subject.split())
    now = mail.compose(timezone.localtime())
    return post.subject == subject and body(bytes(post.message.raw)) == body(now)


def _draft(mlist: MailingList, author: Author, words: Words, msg_id: str) -> Draft:
    return Draft(
        author=author.path,
        to=paths.mailbox(mlist.posting_address),
        subject=words.subject,
        text=words.text,
        msg_id=msg_id,
        author_name=author.name,
        references=words.references,
    )


def _judge(mlist: MailingList, mail: Draft) -> Verdict:
    raw = mail.compose(timezone.localtime())
    facts = facts_of.read(raw, reverse_path=str(mail.author))
    return actions.judge(mlist.address_id, facts)


def _limit(author: Author) -> None:
    lately = Message.objects.filter(
        source=Message.Source.WEB,
        submitter=author.user,
        received_at__gt=timezone.now() - HOUR,
    )
    if lately.count() >= PER_HOUR:
        raise NotSent(
            f"You have written {PER_HOUR} messages here within an hour. Wait a"
            " little, or send this one from your mail program."
        )


# --- answers ----------------------------------------------------------------


def references_of(post: Post) -> tuple[str, ...]:
    """What an answer to a post refers to."""
    found, _ = fields.split(bytes(post.message.raw))
    values = [field.value for field in found if field.name == "references"]
    return draft.thread(b" ".join(values), post.msg_id)


def answer_to(post: Post) -> Words:
    """The subject and the quotation an answer begins with."""
    subject = post.subject
    if not subject.lower().startswith("re:"):
        subject = f"Re: {subject}".strip()
    shown = letter.read(bytes(post.message.raw))
    quoted = draft.quote(shown.text or reading.words(shown.html), limit=MAX_QUOTED)
    who = post.author_name or post.author.partition("@")[0]
    day = f"{post.created_at:%-d %B %Y}"
    return Words(subject[:200], f"On {day}, {who} wrote:\n{quoted}\n\n")


# --- one form, one message --------------------------------------------------


def new_ticket(mlist: MailingList, user: int) -> str:
    """What a form carries so that pressing its button twice is one message."""
    return _signer(mlist, user).sign(secrets.token_hex(12))


def _read_ticket(mlist: MailingList, user: int, ticket: str) -> str:
    """The Message-ID of a form's message; "" when the ticket is not ours."""
    try:
        return _msg_id(mlist, _signer(mlist, user).unsign(ticket))
    except signing.BadSignature:
        return ""


def _signer(mlist: MailingList, user: int) -> signing.Signer:
    return signing.Signer(salt=f"{_SALT}:{mlist.pk}:{user}")


def _msg_id(mlist: MailingList, name: str) -> str:
    return f"<{name}@{mlist.address.domain.name}>"
