"""The mail server for the site's admins: domains to edit, the rest to read.

What happened to mail is a ledger: nobody edits it here, and nobody is shown
raw bytes. Deliveries can be stopped, retried and withdrawn by the queue's
verbs. Lists and aliases are made on their own pages, each with its address.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget

from smtpd import paths
from smtpd.domains import actions as domains
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
from smtpd.models.delivery import DeliveryQuerySet
from smtpd.outbound.relay import RELAY
from smtpd.queue import order_words
from smtpd.queue.orders import Order, give
from smtpd.submission import actions as submission


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc] # unfold has no types
    """Rows that only the mail server writes."""

    list_filter_submit = True
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: object | None = None
    ) -> bool:
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: object | None = None
    ) -> bool:
        return False


class DomainForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    """A domain; its name and key are chosen once, when it is added."""

    dkim = forms.ChoiceField(
        label="Signing key",
        choices=(("rsa", "RSA, 2048 bits"), ("ed25519", "Ed25519"), ("", "None")),
        required=False,
        initial="rsa",
        widget=UnfoldAdminSelectWidget,
    )

    class Meta:
        model = Domain
        fields = ("name", "description", "is_active", "dkim_selector", "admins")
        labels = {"is_active": "Takes mail", "dkim_selector": "DKIM selector"}
        help_texts = {
            "admins": "They run this domain. Without any, the site's admins do.",
        }

    def clean_name(self) -> str:
        return domains.check_name(self.cleaned_data["name"])


class DomainAdmin(ModelAdmin):  # type: ignore[misc] # unfold has no types
    """Registered by project/admin.py, which knows what else a domain must have."""

    form = DomainForm
    list_display = ("name", "description", "is_active", "is_signed", "address_count")
    list_filter = ("is_active",)
    search_fields = ("name", "description")
    autocomplete_fields = ("admins",)

    def get_fields(
        self, request: HttpRequest, obj: Domain | None = None
    ) -> tuple[str, ...]:
        fields = ("name", "description", "is_active", "dkim_selector")
        return (*fields, "is_signed" if obj else "dkim", "admins")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Domain | None = None
    ) -> tuple[str, ...]:
        """A name in use stays; a selector belongs to the published key."""
        return ("name", "dkim_selector", "is_signed") if obj else ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Domain]:
        rows: QuerySet[Domain] = super().get_queryset(request)
        return rows.annotate(address_count=Count("addresses"))

    def save_model(
        self, request: HttpRequest, obj: Domain, form: DomainForm, change: bool
    ) -> None:
        if not change:
            obj.dkim_key = domains.make_key(form.cleaned_data["dkim"])
        super().save_model(request, obj, form, change)

    def has_delete_permission(
        self, request: HttpRequest, obj: Domain | None = None
    ) -> bool:
        """A domain with addresses is closed, not deleted."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and (obj is None or not obj.addresses.exists())

    @admin.display(description="signed", boolean=True)
    def is_signed(self, domain: Domain) -> bool:
        return bool(domain.dkim_key)

    @admin.display(description="addresses", ordering="address_count")
    def address_count(self, domain: Any) -> int:
        return int(domain.address_count)


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnlyAdmin):
    """Changed on the domain's page Keys, where DNS is asked first."""

    list_display = ("selector", "domain", "state", "made_at", "stopped_at")
    list_filter = ("state", "made_at")
    list_select_related = ("domain",)
    search_fields = ("selector", "domain__name")
    exclude = ("pem",)


@admin.register(Address)
class AddressAdmin(ModelAdmin):  # type: ignore[misc] # unfold has no types
    """All addresses. Each is made, moved and deleted with its list or alias."""

    list_display = ("__str__", "kind", "is_enabled", "expires_at", "moved_to")
    list_filter = ("kind", "is_enabled", "domain")
    list_select_related = ("domain",)
    search_fields = ("local_part", "domain__name", "moved_to")
    fields = ("domain", "local_part", "kind", "moved_to", "is_enabled", "expires_at")
    readonly_fields = ("domain", "local_part", "kind", "moved_to")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: Address | None = None
    ) -> bool:
        return False


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ("key", "received_at", "author", "subject", "size", "source")
    list_filter = ("source", "received_at", "protocol")
    search_fields = ("key", "=msg_id", "author", "subject", "reverse_path")
    exclude = ("raw", "trace")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        rows: QuerySet[Message] = super().get_queryset(request)
        return rows.defer("raw", "trace")


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("at", "kind", "text", "message")
    list_filter = ("kind", "at")
    search_fields = ("=message__key", "text")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        rows: QuerySet[Event] = super().get_queryset(request)
        return rows.select_related("message").defer("message__raw", "message__trace")


@admin.register(Outgoing)
class OutgoingAdmin(ReadOnlyAdmin):
    list_display = ("message", "lane", "envelope", "reverse_path", "created_at")
    list_filter = ("lane", "envelope", "created_at")
    search_fields = ("=message__key", "reverse_path")
    exclude = ("head", "copy_head", "body", "body_splices")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Outgoing]:
        rows: QuerySet[Outgoing] = super().get_queryset(request)
        return rows.select_related("message").defer(
            "message__raw", "message__trace", "head", "copy_head", "body"
        )


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = (
        "address",
        "state",
        "destination",
        "lane",
        "attempts",
        "code",
        "text",
        "updated_at",
    )
    list_filter = ("state", "lane", "destination", "updated_at")
    search_fields = ("address", "=outgoing__message__key", "text")
    actions = ("hold", "retry", "cancel")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        rows: QuerySet[Delivery] = super().get_queryset(request)
        return rows.select_related("outgoing__message").defer(
            "outgoing__message__raw",
            "outgoing__message__trace",
            "outgoing__head",
            "outgoing__copy_head",
            "outgoing__body",
        )

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("smtpd.change_delivery")

    @admin.action(description="Hold", permissions=["operate"])
    def hold(self, request: HttpRequest, queryset: DeliveryQuerySet) -> None:
        self._give(request, Order.HOLD, queryset)

    @admin.action(description="Retry now", permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: DeliveryQuerySet) -> None:
        self._give(request, Order.RETRY, queryset)

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: DeliveryQuerySet) -> None:
        self._give(request, Order.DROP, queryset)

    def _give(self, request: HttpRequest, order: Order, rows: DeliveryQuerySet) -> None:
        chosen = Delivery.objects.filter(pk__in=rows.order_by().values("pk"))
        done = give(order, chosen, str(request.user))
        self.message_user(request, order_words.after(done))


class DestinationForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    """What a destination is allowed; the rest the workers write."""

    class Meta:
        model = Destination
        fields = ("name", "most_connections", "most_copies", "period")
        labels = {
            "most_connections": "Connections at once",
            "most_copies": "Recipients",
            "period": "in",
        }
        help_texts = {
            "name": f"A domain, or {RELAY}: the server that RELAY names.",
            "most_connections": "Empty: as many as it likes, up to 20 a machine.",
            "most_copies": "At most so many, tries included. Empty: no limit.",
        }

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        try:
            return name if name == RELAY else paths.mailbox(f"sam@{name}").domain
        except paths.BadPath as error:
            raise forms.ValidationError("That is no domain.") from error


@admin.register(Destination)
class DestinationAdmin(ModelAdmin):  # type: ignore[misc] # unfold has no types
    """Limits to set; one without limits, mail and trouble is forgotten in a week."""

    form = DestinationForm
    list_display = (
        "name",
        "most_connections",
        "copies",
        "backoff_until",
        "failures",
        "slowdowns",
        "last_failure_at",
    )
    search_fields = ("name", "last_failure")
    known = (
        "backoff_until",
        "failures",
        "slowdowns",
        "last_failure_at",
        "last_failure",
        "held_at",
        "held_by",
    )

    def get_fields(
        self, request: HttpRequest, obj: Destination | None = None
    ) -> tuple[str, ...]:
        return (*DestinationForm.Meta.fields, *(self.known if obj else ()))

    def get_readonly_fields(
        self, request: HttpRequest, obj: Destination | None = None
    ) -> tuple[str, ...]:
        return ("name", *self.known) if obj else ()

    def has_delete_permission(
        self, request: HttpRequest, obj: Destination | None = None
    ) -> bool:
        return False

    @admin.display(description="recipients")
    def copies(self, host: Destination) -> str:
        if not host.most_copies:
            return ""
        return f"{host.most_copies} {host.get_period_display()}"


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    list_display = ("address", "action", "message", "settled_at")
    list_filter = ("action", "settled_at")
    search_fields = ("address", "=message__key")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Report]:
        rows: QuerySet[Report] = super().get_queryset(request)
        return rows.select_related("message").defer("message__raw", "message__trace")


@admin.register(Copy)
class CopyAdmin(ReadOnlyAdmin):
    list_display = ("forward_path", "subject", "author", "size", "received_at")
    list_filter = ("received_at",)
    search_fields = ("forward_path", "subject", "author")
    exclude = ("raw",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Copy]:
        rows: QuerySet[Copy] = super().get_queryset(request)
        return rows.defer("raw")


@admin.register(AppPassword)
class AppPasswordAdmin(ReadOnlyAdmin):
    """Made by people for themselves; taken away here when a laptop is gone."""

    list_display = (
        "name",
        "user",
        "created_at",
        "last_used_at",
        "last_used_from",
        "revoked_at",
    )
    list_filter = ("created_at", "last_used_at", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__email", "last_used_from")
    exclude = ("hash",)
    actions = ("revoke",)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("smtpd.change_apppassword")

    @admin.action(description="Revoke", permissions=["operate"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[AppPassword]) -> None:
        count = sum(submission.revoke(password) for password in queryset)
        self.message_user(request, f"App passwords revoked: {count}.")
