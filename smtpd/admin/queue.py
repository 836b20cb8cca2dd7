"""What waits and for whom: orders about copies, limits of destinations."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from smtpd import paths
from smtpd.admin.reading import ReadOnlyAdmin
from smtpd.models import (
    Delivery,
    Destination,
)
from smtpd.models.delivery import DeliveryQuerySet
from smtpd.outbound.relay import RELAY
from smtpd.queue import order_words
from smtpd.queue.orders import Order, give


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
