"""Who may see and do what with the mail server itself.

A site admin runs every domain, a domain's admins run that one. What somebody
may not see does not exist for them: 404, whatever the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import Http404, HttpRequest, HttpResponse

from smtpd.models import Copy, Delivery, Domain, Message
from smtpd.models.delivery import DeliveryQuerySet

Person = AbstractBaseUser | AnonymousUser
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def runs_site(user: Person) -> bool:
    """Whether everything here is theirs to run."""
    return user.is_authenticated and bool(getattr(user, "is_superuser", False))


def domains_of(user: Person) -> QuerySet[Domain]:
    """The domains somebody runs."""
    return Domain.objects.run_by(user)


def domain_for_admin(user: Person, name: str) -> Domain:
    """A domain somebody runs, or 404."""
    domain = domains_of(user).filter(name=name.lower()).first()
    if domain is None:
        raise Http404("no such domain")
    return domain


def messages_of(user: Person) -> QuerySet[Message]:
    """The messages to addresses of their domains, and what the site wrote for them."""
    messages = Message.objects.light()
    if runs_site(user):
        return messages
    mine = Q(pk__in=())
    for name in domains_of(user).values_list("name", flat=True):
        # The forward-paths are a JSON list: the quote ends each of them.
        mine |= Q(paths_text__icontains=f'@{name}"')
        mine |= Q(source=Message.Source.SITE, author__iendswith=f"@{name}")
    # In a subquery of its own: who joins it must not see the extra column.
    found = Message.objects.annotate(paths_text=Cast("forward_paths", TextField()))
    return messages.filter(pk__in=found.filter(mine).values("pk"))


def deliveries_of(user: Person) -> DeliveryQuerySet:
    """The rows of the ledger that somebody may hold, retry and cancel."""
    rows = Delivery.objects.all()
    if runs_site(user):
        return rows
    return rows.filter(outgoing__message__in=messages_of(user).values("pk"))


def copies_of(user: Person) -> QuerySet[Copy]:
    """The caught copies somebody may read: their own, and what their domains send.

    A site admin reads all. Nobody else reads sign-in codes of other people:
    those have the null reverse-path.
    """
    copies = Copy.objects.defer("raw")
    if runs_site(user):
        return copies
    if not user.is_authenticated:
        return copies.none()
    mine = Q(forward_path__iexact=str(getattr(user, "email", "")))
    for name in domains_of(user).values_list("name", flat=True):
        mine |= Q(reverse_path__iendswith=f"@{name}")
    return copies.filter(mine)


def operators_only(view: View[P]) -> View[P]:
    """Let in whoever runs the site or a domain; strangers get 404."""

    @login_required
    @wraps(view)
    def guarded(
        request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponse:
        if not (runs_site(request.user) or domains_of(request.user).exists()):
            raise Http404("not theirs")
        return view(request, *args, **kwargs)

    return guarded
