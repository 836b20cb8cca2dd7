"""Domains, their keys and addresses."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget

from smtpd.admin.reading import ReadOnlyAdmin
from smtpd.domains import actions as domains
from smtpd.models import (
    Address,
    Domain,
    SigningKey,
)


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
