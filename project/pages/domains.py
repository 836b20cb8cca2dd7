"""The domains of the site: what is on them, who runs them, what DNS must say."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from project import hosting
from project.models import User
from project.pages.forms import AdminForm, CorrectionForm, DomainForm
from smtpd.access import domain_for_admin, domains_of, operators_only, runs_site
from smtpd.domains import actions
from smtpd.domains.actions import Refused
from smtpd.domains.age import age, is_old
from smtpd.domains.dns import records
from smtpd.models import Address, Domain

PER_PAGE = 50


@require_safe
@operators_only
def index(request: HttpRequest) -> HttpResponse:
    """The domains somebody runs, with how many addresses of each kind."""
    domains = domains_of(request.user).annotate(
        lists=_count(Address.Kind.LIST), aliases=_count(Address.Kind.ALIAS)
    )
    return render(request, "project/domains/index.html", {"domains": domains})


@login_required
def create(request: HttpRequest) -> HttpResponse:
    """Take a domain in, with its key, postmaster and abuse desk."""
    if not runs_site(request.user):
        raise Http404("not theirs")
    form = DomainForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            domain = hosting.host_domain(**form.cleaned_data)
        except Refused as refusal:
            form.add_error("name", refusal)
        else:
            messages.success(
                request, f"{domain} is here. Now publish its DNS records, below."
            )
            return redirect("smtpd:domain", name=domain.name)
    return render(request, "project/domains/create.html", {"form": form})


@require_safe
@login_required
def show(request: HttpRequest, name: str) -> HttpResponse:
    """One domain, its addresses, admins and records."""
    domain = domain_for_admin(request.user, name)
    return render(request, "project/domains/show.html", _context(request, domain))


@require_POST
@login_required
def switch(request: HttpRequest, name: str) -> HttpResponse:
    """Close or open it."""
    domain = domain_for_admin(request.user, name)
    if request.POST.get("to") == "open":
        actions.open_domain(domain)
        messages.success(request, f"{domain} takes mail again.")
    else:
        actions.close_domain(domain)
        messages.success(
            request, f"{domain} is closed: all but its postmaster's mail is refused."
        )
    return redirect("smtpd:domain", name=domain.name)


@require_POST
@login_required
def appoint(request: HttpRequest, name: str) -> HttpResponse:
    """Give it another admin."""
    domain = domain_for_admin(request.user, name)
    form = AdminForm(request.POST)
    if not form.is_valid():
        context = _context(request, domain) | {"admin_form": form}
        return render(request, "project/domains/show.html", context)
    person = hosting.appoint(domain, form.cleaned_data["email"])
    messages.success(request, f"{person.email} is an admin of {domain} now.")
    return redirect("smtpd:domain", name=domain.name)


@require_POST
@login_required
def dismiss(request: HttpRequest, name: str, pk: int) -> HttpResponse:
    """Take an admin away from it; nobody locks themselves out by mistake."""
    domain = domain_for_admin(request.user, name)
    person: User | None = domain.admins.filter(pk=pk).first()
    if person is None:
        messages.info(request, "That person was no admin any more.")
    elif person == request.user and not runs_site(request.user):
        messages.error(request, "Ask another admin to remove you. Nothing was changed.")
    else:
        hosting.dismiss(domain, person)
        messages.success(request, f"{person.email} is no admin of {domain} any more.")
    return redirect("smtpd:domain", name=domain.name)


@require_POST
@login_required
def correct(request: HttpRequest, name: str) -> HttpResponse:
    """Choose what senders to its moved addresses hear (RFC 5321 3.4)."""
    domain = domain_for_admin(request.user, name)
    form = CorrectionForm(request.POST, domain=domain)
    if not form.is_valid():
        context = _context(request, domain) | {"correction_form": form}
        return render(request, "project/domains/show.html", context)
    actions.set_correction(domain, form.cleaned_data["correction"])
    messages.success(request, "Saved. Senders to moved addresses hear it from now on.")
    return redirect("smtpd:domain", name=domain.name)


def _count(kind: str) -> Count:
    return Count("addresses", filter=Q(addresses__kind=kind), distinct=True)


def _context(request: HttpRequest, domain: Domain) -> dict[str, Any]:
    query = request.GET.get("q", "").strip()[:100]
    rows = domain.addresses.select_related("domain", "mailing_list", "alias")
    if query:
        rows = rows.filter(local_part__icontains=query.partition("@")[0])
    others = domain.signing_keys.in_dns()
    found = records(domain, settings.SMTP_HOSTNAME, others)
    now = timezone.now()
    return {
        "domain": domain,
        "page": Paginator(rows, PER_PAGE).get_page(request.GET.get("page")),
        "query": query,
        "admins": domain.admins.order_by("email"),
        "records": found,
        "zone": "\n".join(map(str, found)),
        "key_age": age(domain.dkim_made_at, now),
        "key_is_old": is_old(domain.dkim_made_at, now),
        "next_key": domain.signing_keys.filter(state="next").first(),
        "removable_keys": [
            key.selector for key in domain.signing_keys.remembered() if key.is_removable
        ],
        "admin_form": AdminForm(),
        "correction_form": CorrectionForm(domain=domain),
        "moved": Address(domain=domain).decision,
    }
