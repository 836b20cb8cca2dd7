"""A list with its people, and a browser for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.test import Client

from lists.models import MailingList
from tests.lists.posts import MORI, NICK, OLGA, SAM, make_list, make_people
from tests.people import signed_in


@dataclass
class Site:
    """`site.as_("olga")` is olga's browser, `site.as_("")` a stranger's."""

    mlist: MailingList

    @property
    def url(self) -> str:
        return f"/lists/{self.mlist.posting_address}/"

    def as_(self, who: str) -> Client:
        people = {"olga": OLGA, "mori": MORI, "sam": SAM, "nick": NICK}
        return signed_in(people[who]) if who else Client()

    def number(self, address: str) -> int:
        """The subscription of an address."""
        row = self.mlist.subscriptions.get(subscriber__folded=address)
        return row.pk


def make_site(**settings: Any) -> Site:
    mlist = make_list(**settings)
    make_people(mlist)
    return Site(mlist)
