"""What aliases stand for: typed by a person, or the roles every domain has."""

from __future__ import annotations

from typing import NamedTuple

from django.contrib.auth import get_user_model

from aliases.expansion import MAX_WIDTH, fold
from smtpd import paths
from smtpd.models import Domain
from smtpd.paths import BadPath
from smtpd.routing import TAG

# RFC 5321 4.5.1 and RFC 2142 4: a domain always has these.
POSTMASTER = "postmaster"
ROLES = (POSTMASTER, "abuse")


class Problem(NamedTuple):
    """A line that is no target, for the person who typed it."""

    # Counted from 1.
    number: int
    line: str
    text: str


def parse_targets(text: str) -> tuple[list[str], list[Problem]]:
    """Read targets, one a line; return the good ones and what is wrong with others.

    Empty lines and repeated addresses are passed over. Domains come back in
    lower case, local parts as they were typed.
    """
    targets: dict[str, str] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            target = str(paths.mailbox(line.strip()))
        except BadPath:
            problems.append(Problem(number, line.strip(), "is not an e-mail address"))
            continue
        targets.setdefault(fold(target), target)
        if len(targets) > MAX_WIDTH:
            problems.append(Problem(number, line.strip(), _TOO_MANY))
            break
    return list(targets.values()), problems


_TOO_MANY = f"is one too many: an alias has at most {MAX_WIDTH} targets"


def admins_of(domain: Domain) -> list[str]:
    """Who answers for a domain: its admins, else the admins of the site."""
    admins = domain.admins.filter(is_active=True)
    everyone = get_user_model().objects.filter(is_active=True, is_superuser=True)
    return [user.email for user in admins] or [user.email for user in everyone]


def role_of(local_part: str) -> str:
    """`postmaster`, `abuse` or nothing; a tag changes nothing."""
    name = local_part.lower().partition(TAG)[0]
    return name if name in ROLES else ""
