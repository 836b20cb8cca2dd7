from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.core import mail
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from aliases import actions as aliases
from aliases.models import Alias
from lists.models import (
    Bounce,
    MailingList,
    MemberImport,
    Post,
    Request,
    Subscriber,
    Subscription,
    Wave,
)
from project import urls
from project.models import User
from smtpd.models import (
    Address,
    AppPassword,
    Copy,
    Delivery,
    Destination,
    Domain,
    Event,
    Message,
    Outgoing,
    Report,
    SigningKey,
)
from smtpd.submission.actions import make_password
from tests.aliases.makers import (
    NICK,
    OLGA,
    SAM,
    make_admin,
    make_domain,
    make_list,
    send,
)

pytestmark = pytest.mark.django_db

assert urls.urlpatterns, "the admin is filled when the URLs are made"
REGISTERED = list(admin.site._registry)
OURS = [
    model
    for app in ("smtpd", "aliases", "lists", "project")
    for model in apps.get_app_config(app).get_models()
]
# A target is edited with its alias; the pace is a number of the queue page.
INSIDE_OTHERS = {"aliases.target", "smtpd.pace"}
# Written by the server alone.
LEDGER = {
    AppPassword,
    Bounce,
    Copy,
    Delivery,
    Event,
    MemberImport,
    Message,
    Outgoing,
    Post,
    Report,
    Request,
    SigningKey,
    Wave,
}
SECRET = b"X-Secret: in the raw bytes"


@pytest.fixture
def root(client: Client) -> Client:
    make_domain()
    client.force_login(make_admin())
    return client


@pytest.fixture
def full_site(root: Client) -> Client:
    """At least one row of each model."""
    aliases.create("team@lists.test", [SAM])
    mlist = make_list("talk@lists.test", SAM, posters="anyone")
    raw = (
        SECRET + b"\r\nFrom: nick@elsewhere.test\r\nMessage-ID: <1@x.test>\r\n\r\nx\r\n"
    )
    assert send("talk@lists.test", "team@lists.test", raw=raw).is_positive
    Destination.objects.create(name="relay")
    Domain.objects.get().signing_keys.create(
        selector="next", pem=f"PRIVATE KEY {SECRET.decode()}", public="v=DKIM1; p="
    )
    Report.objects.create(
        message=Message.objects.all()[0], address=NICK, action="failed"
    )
    make_password(User.objects.get(), "Laptop")
    Copy.objects.create(forward_path=SAM, size=1, raw=SECRET)
    subscription = Subscription.objects.all()[0]
    wave = Wave.objects.create(domain="gone.test", failed=11, total=20)
    Bounce.objects.create(subscription=subscription, kind="hard", wave=wave)
    MemberImport.objects.create(mailing_list=mlist, text="pasted")
    stamp = subscription.joined_at
    Request.objects.create(
        kind="join", mailing_list=mlist, address=NICK, folded=NICK, expires_at=stamp
    )
    return root


def page(model: type[Model], name: str, *args: object) -> str:
    return reverse(
        f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args
    )


def test_every_model_is_in_the_admin() -> None:
    missing = {model._meta.label_lower for model in OURS if model not in REGISTERED}
    assert missing == INSIDE_OTHERS


@pytest.mark.parametrize("model", REGISTERED)
def test_changelists_answer(full_site: Client, model: type[Model]) -> None:
    answer = full_site.get(page(model, "changelist"))
    assert answer.status_code == 200
    assert SECRET not in answer.content
    found = full_site.get(page(model, "changelist"), {"q": "sam"})
    assert found.status_code == 200


@pytest.mark.parametrize("model", REGISTERED)
def test_add_pages_answer(root: Client, model: type[Model]) -> None:
    answer = root.get(page(model, "add"))
    by_itself = model in LEDGER or model in (Address, Subscriber)
    assert answer.status_code == (403 if by_itself else 200)


@pytest.mark.parametrize("model", [model for model in OURS if model in REGISTERED])
def test_each_row_is_shown_without_raw_bytes(
    full_site: Client, model: type[Model]
) -> None:
    row = model._default_manager.first()
    assert row is not None
    answer = full_site.get(page(model, "change", row.pk))
    assert answer.status_code == 200
    assert SECRET not in answer.content
    assert b"PRIVATE KEY" not in answer.content


@pytest.mark.parametrize("model", sorted(LEDGER, key=str))
def test_the_ledger_is_not_edited(full_site: Client, model: type[Model]) -> None:
    row = model._default_manager.first()
    assert row is not None
    assert full_site.post(page(model, "change", row.pk), {}).status_code == 403
    assert full_site.post(page(model, "delete", row.pk), {}).status_code == 403


def test_a_stranger_is_asked_to_sign_in(client: Client) -> None:
    for model in REGISTERED:
        assert client.get(page(model, "changelist")).status_code == 302


def test_an_app_password_is_revoked(root: Client) -> None:
    password, _ = make_password(User.objects.get(), "Laptop")
    shown = root.get(page(AppPassword, "change", password.pk))
    assert password.hash.encode() not in shown.content
    data = {"action": "revoke", "_selected_action": [password.pk]}
    root.post(page(AppPassword, "changelist"), data)
    assert not AppPassword.objects.good().exists()


def test_an_alias_is_made_and_changed(root: Client) -> None:
    data = {"mailbox": "team@lists.test", "targets": f"{SAM}\n{NICK}"}
    assert root.post(page(Alias, "add"), data).status_code == 302
    alias = Alias.objects.get(address__local_part="team")
    assert alias.targets.count() == 2
    change = page(Alias, "change", alias.pk)
    assert root.post(change, {"targets": OLGA}).status_code == 302
    assert [target.mailbox for target in alias.targets.all()] == [OLGA]
    cycle = root.post(change, {"targets": "team@lists.test"})
    assert b"cannot be its own target" in cycle.content
    wrong = root.post(change, {"targets": f"{SAM}\nnobody"})
    assert b"Line 2: nobody" in wrong.content
    assert [target.mailbox for target in alias.targets.all()] == [OLGA]


def test_the_postmaster_can_be_neither_deleted_nor_disabled(root: Client) -> None:
    alias = Alias.objects.get(address__local_part="postmaster")
    delete = root.post(page(Alias, "delete", alias.pk), {"post": "yes"})
    assert delete.status_code == 403
    data = {"action": "disable", "_selected_action": [alias.pk]}
    root.post(page(Alias, "changelist"), data)
    assert Address.objects.get(pk=alias.address_id).is_enabled


def test_a_list_is_founded_with_its_owner(root: Client) -> None:
    data = {"mailbox": "talk@lists.test", "name": "Talk", "owner": OLGA}
    assert root.post(page(MailingList, "add"), data).status_code == 302
    mlist = MailingList.objects.get()
    assert mlist.posting_address == "talk@lists.test"
    assert mlist.subscriptions.get().role == Subscription.Role.OWNER
    again = root.post(page(MailingList, "add"), data)
    assert b"taken" in again.content
    assert MailingList.objects.count() == 1


def test_a_domain_gets_its_key_its_postmaster_and_its_abuse_desk(
    root: Client,
) -> None:
    data = {
        "name": "New.test",
        "dkim_selector": "folkmoot",
        "dkim": "ed25519",
        "is_active": "on",
    }
    assert root.post(page(Domain, "add"), data).status_code == 302
    domain = Domain.objects.get(name="new.test")
    assert "PRIVATE KEY" in domain.dkim_key
    roles = domain.addresses.values_list("local_part", flat=True)
    assert set(roles) == {"postmaster", "abuse"}
    # Saved again, one that was given up stays so.
    Address.objects.get(domain=domain, local_part="abuse").delete()
    root.post(page(Domain, "change", domain.pk), {"description": "Ours"})
    domain.refresh_from_db()
    assert domain.description == "Ours"
    assert domain.addresses.get().local_part == "postmaster"


def test_a_member_is_added_by_address(root: Client) -> None:
    mlist = make_list("talk@lists.test")
    data = {"mailing_list": mlist.pk, "address": SAM, "role": "member"}
    assert root.post(page(Subscription, "add"), data).status_code == 302
    assert mlist.subscriptions.filter(subscriber__folded=SAM).exists()


@pytest.mark.parametrize("model", [Subscription, Subscriber])
@pytest.mark.parametrize("is_action", [False, True])
def test_who_loses_the_last_owner_of_a_list_is_told(
    root: Client,
    model: type[Model],
    is_action: bool,
    django_capture_on_commit_callbacks: Any,
) -> None:
    data = {"mailbox": "talk@lists.test", "name": "Talk", "owner": OLGA}
    root.post(page(MailingList, "add"), data)
    Domain.objects.get().admins.create(email=NICK)
    row = model._default_manager.get()
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        if is_action:
            chosen = {"action": "delete_selected", "_selected_action": [row.pk]}
            root.post(page(model, "changelist"), chosen | {"post": "yes"})
        else:
            root.post(page(model, "delete", row.pk), {"post": "yes"})
    assert not Subscription.objects.exists()
    assert [(each.to, "owner" in each.subject) for each in mail.outbox] == [
        ([NICK], True)
    ]


def test_a_person_is_added_without_a_password(root: Client) -> None:
    data = {"email": "Mori@people.test", "name": "Mori"}
    assert root.post(page(User, "add"), data).status_code == 302
    assert not User.objects.get(email="mori@people.test").has_usable_password()


def test_deliveries_are_held_and_retried(full_site: Client) -> None:
    row = Delivery.objects.all()[0]
    data = {"action": "hold", "_selected_action": [row.pk]}
    full_site.post(page(Delivery, "changelist"), data)
    row.refresh_from_db()
    assert row.state == Delivery.State.HELD
    full_site.post(page(Delivery, "changelist"), {**data, "action": "retry"})
    row.refresh_from_db()
    assert row.state == Delivery.State.QUEUED


def test_a_destination_gets_its_limits(root: Client) -> None:
    url = reverse("admin:smtpd_destination_add")
    told = {"name": "Bücher.TEST", "most_connections": "2", "most_copies": "500"}
    answer = root.post(url, told | {"period": "3600"})
    assert answer.status_code == 302, answer.context["errors"]
    host = Destination.objects.get(name="xn--bcher-kva.test")
    assert (host.most_connections, host.most_copies, host.period) == (2, 500, 3600)
    change = reverse("admin:smtpd_destination_change", args=[host.pk])
    answer = root.post(change, {"most_connections": "", "period": "60"})
    assert answer.status_code == 302, answer.context["errors"]
    host.refresh_from_db()
    assert not host.is_limited
    assert host.name == "xn--bcher-kva.test"
    for wrong in ({"name": "no domain"}, {"most_connections": "0"}):
        answer = root.post(url, told | {"name": "a.test", "period": "60"} | wrong)
        assert answer.status_code == 200, wrong
