"""May this message be posted? Facts in, verdict out; tested by table.

A rule says nothing when it does not apply. The first refusal or discard is
the verdict; otherwise every reason to hold is collected, so that a moderator
sees all of them at once.

The rights of a poster go by the address in From alone: Reply-To and Sender
name other people, and the envelope is anybody's. From is not proven here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from smtpd import replies
from smtpd.facts import Facts
from smtpd.replies import Reply
from smtpd.verdict import ACCEPT, Outcome, Verdict

# Enough of an address to name somebody; quoted whole, it is only a name.
_ADDRESS = re.compile(r'.+@[^\s@"<>]+')
STAFF = frozenset({"owner", "moderator"})


@dataclass(frozen=True, slots=True)
class Standing:
    """What the author is on this list; the words are those of Subscription."""

    role: str = "member"
    posting: str = "default"
    suspended_by: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the list decided, and what it knows about this author and message."""

    address: str
    list_id: str
    # The page of the list: where a refused sender reads on.
    help_url: str
    # The words of MailingList.Posters and MailingList.Others.
    posters: str = "members"
    others: str = "hold"
    max_size: int = 10_000_000
    # None: the author is not subscribed.
    standing: Standing | None = None
    is_duplicate: bool = False


Rule = Callable[[Policy, Facts], Verdict | None]


def judge(policy: Policy, facts: Facts) -> Verdict:
    """Ask every rule in order; accept what none objects to."""
    reasons: list[str] = []
    for rule in RULES:
        verdict = rule(policy, facts)
        if verdict is None:
            continue
        if verdict.outcome is not Outcome.HOLD:
            return verdict
        reasons.extend(verdict.reasons)
    return Verdict(Outcome.HOLD, tuple(reasons)) if reasons else ACCEPT


def _loop(policy: Policy, facts: Facts) -> Verdict | None:
    """It carries our own List-Id or List-Post, however that is spelled.

    Refused rather than dropped: we send no bounce ourselves, and the server
    that brought it back (a subscriber's forwarding, mostly) learns why. Its
    report comes to the bounce address of that subscriber's copy. A loop that
    strips these fields, over another list, ends at `_duplicate`.
    """
    if _names(policy.list_id, facts.all("list-id")) or _names(
        policy.address, facts.all("list-post")
    ):
        return _refuse(replies.LOOP, "It has been on this list before.")
    return None


def _null_sender(policy: Policy, facts: Facts) -> Verdict | None:
    """RFC 5321 4.5.5: bounces and auto-replies, which belong to no discussion.

    Nobody is told of the refusal: a null reverse-path takes no report.
    """
    if facts.reverse_path:
        return None
    return _refuse(
        replies.NO_NULL_SENDER, "It has no sender: a bounce or an automatic reply."
    )


def _robot(policy: Policy, facts: Facts) -> Verdict | None:
    """RFC 3834 5. A reply of a program is dropped: its owner knows nothing of it.

    What a program wrote by itself (a build, a monitor) may be wanted: a
    moderator decides, unless the sender is always allowed.
    """
    kind = _auto_submitted(facts)
    if kind in ("", "no"):
        return None
    if kind == "auto-replied":
        return Verdict(Outcome.DISCARD, ("It is an automatic reply.",))
    if policy.standing is not None and policy.standing.posting == "allowed":
        return None
    return _hold("A program sent it, not a person.")


def _no_author(policy: Policy, facts: Facts) -> Verdict | None:
    """RFC 5322 3.6: From is one of the two fields every message has."""
    if any(_ADDRESS.fullmatch(author) for author in facts.authors):
        return None
    return _refuse(replies.NO_AUTHOR, "It has no author: no address in From.")


def _size(policy: Policy, facts: Facts) -> Verdict | None:
    if facts.size <= policy.max_size:
        return None
    return _refuse(
        replies.TOO_BIG.fill(size=policy.max_size),
        f"It has {facts.size:,} bytes; this list takes {policy.max_size:,}.",
    )


def _duplicate(policy: Policy, facts: Facts) -> Verdict | None:
    """Answered 250: a sender that lost our first 250 is told the truth."""
    if policy.is_duplicate:
        return Verdict(Outcome.DISCARD, ("The list already has this message.",))
    return None


def _several_authors(policy: Policy, facts: Facts) -> Verdict | None:
    """With two authors, the right of one would carry the words of the other."""
    if len(facts.authors) == 1:
        return None
    return _other(policy, "It has several authors in From.")


def _subscription(policy: Policy, facts: Facts) -> Verdict | None:
    """What the owners decided about this very person."""
    if policy.standing is None:
        return None
    if policy.standing.posting == "held":
        return _hold("An owner wants every post of this author to be looked at.")
    if policy.standing.suspended_by == "owner":
        return _hold("An owner suspended this author's subscription.")
    return None


def _posters(policy: Policy, facts: Facts) -> Verdict | None:
    """Who may post at all."""
    standing = policy.standing
    if policy.posters == "anyone":
        return None
    if standing is None:
        return _other(policy, "The author is not subscribed to this list.")
    if policy.posters == "members" or standing.posting == "allowed":
        return None
    if standing.role in STAFF:
        return None
    return _other(policy, "Only owners and moderators post to this list.")


RULES: tuple[Rule, ...] = (
    _loop,
    _null_sender,
    _no_author,
    _size,
    _duplicate,
    _robot,
    _several_authors,
    _subscription,
    _posters,
)


def _other(policy: Policy, reason: str) -> Verdict:
    """What this list does with those who may not post."""
    if policy.others != "refuse":
        return _hold(reason)
    reply = replies.OWNERS_ONLY if policy.posters == "owners" else replies.MEMBERS_ONLY
    return _refuse(reply.fill(help=f"See {policy.help_url}"), reason)


def _hold(reason: str) -> Verdict:
    return Verdict(Outcome.HOLD, (reason,))


def _refuse(reply: Reply, reason: str) -> Verdict:
    return Verdict(Outcome.REFUSE, (reason,), reply)


def _auto_submitted(facts: Facts) -> str:
    """The keyword of Auto-Submitted (RFC 3834 5), "" when there is none."""
    value = facts.first("auto-submitted").decode("latin-1").lower()
    return re.split(r"[\s;(]", value.strip(), maxsplit=1)[0]


def _names(ours: str, values: list[bytes]) -> bool:
    """Whether one of the values holds our identifier as a whole word.

    `<mailto:z@x>`, `z@x`, `Z <z.x>`, `<mailto:z%40x?subject=hi>`; not `xyz@x`
    and not `z.x.org`.
    """
    pattern = re.compile(
        rf"(?<![\w.+-]){re.escape(ours)}(?![\w+-]|\.\w)", re.IGNORECASE
    )
    return any(
        pattern.search(unquote(value.decode("utf-8", "replace"))) for value in values
    )
