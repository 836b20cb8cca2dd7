"""Who somebody is and who is on a list: VRFY and EXPN (RFC 5321 3.5, 7.3).

Strangers learn nothing. VRFY answers those who run a domain, about that
domain; EXPN those who may see the members anyway, on the pages. What is not
theirs to know answers the same whether it exists or not. Nothing is called
valid that RCPT would not take now (3.5.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from smtpd import paths, replies
from smtpd.access import Person, domains_of
from smtpd.entries import Entry
from smtpd.models import Address
from smtpd.paths import BadPath, Path
from smtpd.replies import Reply
from smtpd.routing import Door, address_of, doors, resolve

# A client holds a whole reply in memory and shows it to a person; a list of a
# hundred thousand belongs into a file, which the member page gives.
MAX_LINES = 1000
# More possibilities than somebody reads are none.
MAX_POSSIBILITIES = 20


def verify(text: str, user: Person | None) -> Reply:
    """Answer VRFY for a mailbox, a local part or a part of a name."""
    if user is None or not domains_of(user).exists():
        return replies.CANNOT_VRFY
    try:
        path = _mailbox(text)
    except BadPath as bad:
        return bad.reply
    if path is None:
        return _one_of(_called(_words(text), user))
    domain = domains_of(user).filter(name=path.domain).first()
    if domain is None:
        return replies.CANNOT_VRFY
    return _who(path, address_of(path.local_part, domain))


def may_expand(user: Person | None) -> bool:
    """Whether EHLO announces EXPN to somebody (RFC 5321 3.5.2)."""
    return user is not None and any(
        door.expandable(user).exists() for door in doors().values()
    )


def expand(text: str, user: Person | None) -> Reply:
    """Answer EXPN for a list or an alias, by its mailbox or its local part.

    To whom it is not announced it is not there (RFC 5321 2.2.2).
    """
    if user is None or not may_expand(user):
        return replies.NOT_IMPLEMENTED
    try:
        path = _mailbox(text)
    except BadPath as bad:
        return bad.reply
    if path is None:
        return _expand_named(_words(text).lower(), user)
    return _expand_mailbox(path, user)


# --- VRFY ---------------------------------------------------------------------


def _who(path: Path, row: Address | None) -> Reply:
    """What a mailbox of theirs is; their own page tells them where it moved to."""
    if row is not None and row.kind == Address.Kind.LIST:
        return replies.LIST_NOT_USER
    if row is not None and row.kind == Address.Kind.MOVED and _is_open(row):
        return _moved(row)
    found = resolve(path)
    if isinstance(found, Reply):
        return found
    entry = Entry(str(path)) if row is None else _entries([row])[0]
    if not entry.mailbox.isascii():
        return replies.NEEDS_UTF8
    return replies.VERIFIED.fill(entry=str(entry))


def _moved(row: Address) -> Reply:
    if not row.moved_to.isascii():
        return replies.NEEDS_UTF8
    is_forwarded = row.decision.correction.forwards
    reply = replies.WILL_FORWARD if is_forwarded else replies.MOVED_TO
    return reply.fill(mailbox=row.moved_to)


def _called(words: str, user: Person) -> list[Address]:
    """Those of their domains with this local part, else with this in their name."""
    domains = domains_of(user)
    mine = Address.objects.filter(domain__in=domains).select_related("domain")
    found = list(mine.filter(local_part=words.lower())[: MAX_POSSIBILITIES + 1])
    if found or not words:
        return found
    named: dict[int, Address] = {}
    for door in doors().values():
        rows = door.called(words, domains).select_related("domain")
        named |= {row.pk: row for row in rows[: MAX_POSSIBILITIES + 1]}
    return sorted(named.values(), key=str)


def _one_of(rows: Sequence[Address]) -> Reply:
    if not rows:
        return replies.NO_SUCH_USER
    if len(rows) > 1:
        return _ambiguous(rows)
    return _who(_path(rows[0]), rows[0])


def _ambiguous(rows: Sequence[Address]) -> Reply:
    """RFC 5321 3.5.1: `553-Ambiguous; possibilities are`."""
    lines = _lines(_entries(rows[:MAX_POSSIBILITIES]))
    more = ["and more"] if len(rows) > MAX_POSSIBILITIES else []
    text = "\n".join([replies.AMBIGUOUS.text, *lines, *more])
    return replies.AMBIGUOUS.with_text(text)


# --- EXPN ---------------------------------------------------------------------


def _expand_mailbox(path: Path, user: Person) -> Reply:
    row = Address.objects.named(f"{path.local_part}@{path.domain}").first()
    if row is not None and (door := _door_to(row, user)):
        return _everybody(door, row)
    if not domains_of(user).filter(name=path.domain).exists():
        return replies.EXPN_DENIED
    if row is None and isinstance(resolve(path), Reply):
        return replies.NO_SUCH_LIST
    return replies.USER_NOT_LIST


def _expand_named(local_part: str, user: Person) -> Reply:
    found: list[tuple[Door, Address]] = []
    for door in doors().values():
        rows = door.expandable(user).filter(local_part=local_part)
        found += [(door, row) for row in rows[: MAX_POSSIBILITIES + 1]]
    if not found:
        mine = Address.objects.filter(domain__in=domains_of(user))
        is_user = mine.filter(local_part=local_part).exists()
        return replies.USER_NOT_LIST if is_user else replies.NO_SUCH_LIST
    if len(found) > 1:
        return _ambiguous([row for _, row in found])
    return _everybody(*found[0])


def _door_to(row: Address, user: Person) -> Door | None:
    """The door of an address whose members are theirs to see."""
    asked = doors().values()
    return next(
        (door for door in asked if door.expandable(user).filter(pk=row.pk).exists()),
        None,
    )


def _everybody(door: Door, row: Address) -> Reply:
    members = door.members(row, MAX_LINES)
    lines = list(_lines(members.entries))
    if hidden := members.total - len(lines):
        lines.append(
            f"and {hidden} more: a reply names at most {MAX_LINES}, in ASCII alone"
        )
    return replies.MEMBERS.with_text("\n".join(lines) or replies.MEMBERS.text)


# --- both ---------------------------------------------------------------------


def _mailbox(text: str) -> Path | None:
    """The mailbox that was asked for, or nothing when it is a name.

    Raise BadPath when it looks like a mailbox and is none.
    """
    words = text.strip()
    if words.startswith("<") and words.endswith(">"):
        words = words[1:-1]
    return paths.mailbox(words) if "@" in words else None


def _words(text: str) -> str:
    """A name, without the quotes it may have (RFC 5321 4.1.2 String)."""
    return text.strip().strip('"<>').strip()


def _entries(rows: Sequence[Address]) -> list[Entry]:
    names: dict[int, str] = {}
    for door in doors().values():
        names |= door.names(rows)
    return [Entry(str(_path(row)), names.get(row.pk, "")) for row in rows]


def _lines(entries: Iterable[Entry]) -> Iterator[str]:
    """One each; a mailbox that does not fit into ASCII cannot be said."""
    return (str(entry) for entry in entries if entry.mailbox.isascii())


def _path(row: Address) -> Path:
    return Path(row.local_part, row.domain.name)


def _is_open(row: Address) -> bool:
    return row.is_open and row.domain.is_active
