"""Where mail to an address would go: the same search that decides at RCPT."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from lists.inbound import DOOR as LISTS
from lists.inbound import POST
from lists.models import MailingList
from smtpd import paths
from smtpd.access import Person, domains_of, operators_only, runs_site
from smtpd.paths import BadPath
from smtpd.replies import Reply
from smtpd.routing import Route, explain

# People named one by one; the rest is a number.
SHOWN = 40
FOREIGN = "Only addresses of domains you run can be explained to you."


@dataclass
class Reach:
    """Who would get it: mailboxes elsewhere, lists, and addresses of machines."""

    people: list[str] = field(default_factory=list)
    # Each list and how many of its subscribers get mail now.
    lists: list[tuple[MailingList, int]] = field(default_factory=list)
    # Forward-path and the door's own word: talk-owner, bounces+...
    others: list[tuple[str, str]] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.people) + sum(count for _, count in self.lists)

    @property
    def hidden(self) -> int:
        """People of whom only the number is shown."""
        return max(0, len(self.people) - SHOWN)


@require_safe
@operators_only
def show(request: HttpRequest) -> HttpResponse:
    """A box for an address, and the answer to it."""
    address = request.GET.get("address", "").strip()[:400]
    context: dict[str, Any] = {"address": address, "shown": f":{SHOWN}"}
    if address:
        context |= answer(request.user, address)
    return render(request, "project/explain.html", context)


def answer(user: Person, address: str) -> dict[str, Any]:
    """The steps, the reply and who would get it; or what is wrong with the words."""
    try:
        path = paths.mailbox(address)
    except BadPath as bad:
        return {"reply": bad.reply, "problem": "This is not an e-mail address."}
    if not runs_site(user) and not domains_of(user).filter(name=path.domain).exists():
        return {"problem": FOREIGN}
    found, steps = explain(address)
    if isinstance(found, Reply):
        return {"steps": steps, "reply": found}
    reach = Reach()
    _follow(found, reach)
    return {"steps": steps, "reply": found.reply, "reach": reach, "route": found}


def _follow(route: Route, reach: Reach) -> None:
    """Add what a route and all behind it reach."""
    if route.door == LISTS and route.kind == POST:
        mlist = MailingList.objects.filter(address=route.target).first()
        if mlist is not None and all(mlist != known for known, _ in reach.lists):
            reach.lists.append((mlist, mlist.subscriptions.receiving().count()))
    elif route.door == LISTS:
        reach.others.append((route.forward_path, route.kind))
    known = {person.lower() for person in reach.people}
    reach.people += [who for who in route.recipients if who.lower() not in known]
    for onward in route.onward:
        _follow(onward, reach)
