"""People as VRFY and EXPN name them (RFC 5321 3.5.1). Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

# What would look like another mailbox, or like another line of the reply.
_NOT_A_NAME = re.compile(r'[\x00-\x1f\x7f<>@"]+')


@dataclass(frozen=True, slots=True)
class Entry:
    """One mailbox and who is behind it."""

    mailbox: str
    name: str = ""

    def __str__(self) -> str:
        """Return `Full Name <mailbox>`, the name in ASCII as far as it has any.

        A stranger may have chosen the name: it cannot pose as a mailbox.
        """
        name = unicodedata.normalize("NFKD", self.name).encode("ascii", "ignore")
        plain = " ".join(_NOT_A_NAME.sub(" ", name.decode()).split())
        return f"{plain} <{self.mailbox}>".lstrip()


class Members(NamedTuple):
    """Who is on a list or behind an alias: the first of them, and how many."""

    entries: Sequence[Entry]
    total: int
