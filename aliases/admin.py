"""Aliases for the site's admins. What is saved goes through the verbs."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from aliases import actions as verbs
from aliases.models import Alias


class AliasForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    """An alias as one form: its address once, its targets one a line."""

    mailbox = forms.CharField(
        label="Address", max_length=320, widget=UnfoldAdminTextInputWidget
    )
    targets = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget,
        help_text="One address a line: anybody's, another alias or a list.",
    )

    class Meta:
        model = Alias
        fields = ("description",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["mailbox"].disabled = True
            self.initial["mailbox"] = str(self.instance)
            self.initial["targets"] = "\n".join(map(str, self.instance.targets.all()))

    def clean_mailbox(self) -> str:
        mailbox: str = self.cleaned_data["mailbox"]
        if self.instance.pk:
            return mailbox
        return str(verbs.check_address(mailbox)[0])

    def clean_targets(self) -> list[str]:
        lines = self.cleaned_data["targets"].splitlines()
        if "mailbox" not in self.cleaned_data:
            return []
        return verbs.check_targets(self.cleaned_data["mailbox"], lines)


@admin.register(Alias)
class AliasAdmin(ModelAdmin):  # type: ignore[misc] # unfold has no types
    form = AliasForm
    fields = ("mailbox", "targets", "description")
    list_display = ("address", "description", "target_count", "is_enabled")
    list_filter = ("address__is_enabled", "address__domain")
    list_select_related = ("address__domain",)
    search_fields = (
        "address__local_part",
        "address__domain__name",
        "description",
        "targets__mailbox",
    )
    actions = ("enable", "disable")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alias]:
        rows: QuerySet[Alias] = super().get_queryset(request)
        return rows.annotate(target_count=Count("targets", distinct=True))

    @admin.display(description="targets", ordering="target_count")
    def target_count(self, alias: Any) -> int:
        return int(alias.target_count)

    @admin.display(description="enabled", boolean=True)
    def is_enabled(self, alias: Alias) -> bool:
        return alias.address.is_enabled

    def save_model(
        self, request: HttpRequest, obj: Alias, form: AliasForm, change: bool
    ) -> None:
        values = form.cleaned_data
        if change:
            verbs.update(obj, values["targets"], values["description"])
        else:
            made = verbs.create(
                values["mailbox"], values["targets"], values["description"]
            )
            obj.pk, obj.address = made.pk, made.address

    def has_delete_permission(
        self, request: HttpRequest, obj: Alias | None = None
    ) -> bool:
        """Every domain keeps its postmaster and abuse desk."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and (obj is None or not verbs.is_role(obj))

    def delete_model(self, request: HttpRequest, obj: Alias) -> None:
        verbs.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Alias]) -> None:
        for alias in queryset:
            verbs.delete(alias)

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Alias]) -> None:
        for alias in queryset:
            verbs.enable(alias)

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Alias]) -> None:
        for alias in queryset:
            try:
                verbs.disable(alias)
            except verbs.Refused as problem:
                self.message_user(request, " ".join(problem.messages), level="warning")
