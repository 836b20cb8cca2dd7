"""App passwords: made by people for themselves, taken away here."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from smtpd.admin.reading import ReadOnlyAdmin
from smtpd.models import (
    AppPassword,
)
from smtpd.submission import actions as submission


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
