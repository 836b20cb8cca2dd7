"""Lists for the site's admins: settings to edit, history to read."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from lists import actions as verbs
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
from lists.subscriptions import actions as subscriptions
from smtpd.admin import ReadOnlyAdmin

SETTINGS = (
    "name",
    "description",
    "is_public",
    "joining",
    "posters",
    "others",
    "reply_to",
    "subject_prefix",
    "footer",
    "max_size",
    "is_archived",
    "bounce_limit",
)


class NewListForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    """What a list needs to be founded; its other settings come afterwards."""

    mailbox = forms.CharField(
        label="Address", max_length=320, widget=UnfoldAdminTextInputWidget
    )
    owner = forms.EmailField(widget=UnfoldAdminTextInputWidget)

    class Meta:
        model = MailingList
        fields = ("name",)

    def clean(self) -> dict[str, Any]:
        """Found it now: only the verb can say that the address is free."""
        values: dict[str, Any] = self.cleaned_data
        if not self.errors:
            try:
                self.made = verbs.create_list(
                    values["mailbox"], values["name"], owner=values["owner"]
                )
            except ValidationError as problem:
                raise ValidationError(problem.messages) from None
        return values


@admin.register(MailingList)
class MailingListAdmin(ModelAdmin):  # type: ignore[misc] # unfold has no types
    list_display = ("name", "address", "members", "posters", "is_public", "is_enabled")
    list_filter = ("posters", "joining", "is_public", "is_archived", "address__domain")
    list_select_related = ("address__domain",)
    search_fields = ("name", "address__local_part", "address__domain__name")
    readonly_fields = ("address",)

    def get_fields(
        self, request: HttpRequest, obj: MailingList | None = None
    ) -> tuple[str, ...]:
        return ("address", *SETTINGS) if obj else ("mailbox", "name", "owner")

    def get_form(
        self, request: HttpRequest, obj: MailingList | None = None, **kwargs: Any
    ) -> type[forms.ModelForm[MailingList]]:
        if obj is None:
            return NewListForm
        form: type[forms.ModelForm[MailingList]]
        form = super().get_form(request, obj, **kwargs)
        return form

    def save_model(
        self, request: HttpRequest, obj: MailingList, form: Any, change: bool
    ) -> None:
        if change:
            verbs.update_list(obj, **form.cleaned_data)
        else:
            obj.pk, obj.address = form.made.pk, form.made.address

    def delete_model(self, request: HttpRequest, obj: MailingList) -> None:
        verbs.delete_list(obj)

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[MailingList]
    ) -> None:
        for mlist in queryset:
            verbs.delete_list(mlist)

    def get_queryset(self, request: HttpRequest) -> QuerySet[MailingList]:
        rows: QuerySet[MailingList] = super().get_queryset(request)
        return rows.annotate(members=Count("subscriptions"))

    @admin.display(ordering="members")
    def members(self, mlist: Any) -> int:
        return int(mlist.members)

    @admin.display(description="enabled", boolean=True)
    def is_enabled(self, mlist: MailingList) -> bool:
        return mlist.address.is_enabled


@admin.register(Subscriber)
class SubscriberAdmin(ModelAdmin):  # type: ignore[misc] # unfold has no types
    list_display = ("address", "name", "user", "verified_at", "created_at")
    list_filter = ("verified_at", "created_at")
    list_select_related = ("user",)
    search_fields = ("folded", "name")
    fields = ("address", "name", "user", "verified_at")
    autocomplete_fields = ("user",)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Subscriber | None = None
    ) -> tuple[str, ...]:
        """An address is what makes a subscriber: another one is somebody else."""
        return ("address", "verified_at") if obj else ("verified_at",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """They come with their first subscription."""
        return False

    def delete_model(self, request: HttpRequest, obj: Subscriber) -> None:
        for subscription in obj.subscriptions.all():
            subscriptions.leave_anyway(subscription)
        super().delete_model(request, obj)

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[Subscriber]
    ) -> None:
        for subscriber in queryset:
            self.delete_model(request, subscriber)


class NewSubscriptionForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    """A member by address: a subscriber is found or made."""

    address = forms.EmailField(widget=UnfoldAdminTextInputWidget)
    full_name = forms.CharField(
        label="Name", max_length=100, required=False, widget=UnfoldAdminTextInputWidget
    )

    class Meta:
        model = Subscription
        fields = ("mailing_list", "role")


@admin.register(Subscription)
class SubscriptionAdmin(ModelAdmin):  # type: ignore[misc] # unfold has no types
    list_display = ("subscriber", "mailing_list", "role", "mode", "suspended_by")
    list_filter = ("role", "mode", "suspended_by", "mailing_list")
    list_select_related = ("subscriber", "mailing_list")
    search_fields = ("subscriber__folded", "subscriber__name", "mailing_list__name")
    readonly_fields = (
        "mailing_list",
        "subscriber",
        "suspended_at",
        "joined_at",
        "bounce_score",
        "last_bounce_on",
        "last_bounce",
    )

    def get_fields(
        self, request: HttpRequest, obj: Subscription | None = None
    ) -> tuple[str, ...]:
        if obj is None:
            return ("mailing_list", "address", "full_name", "role")
        about = ("mailing_list", "subscriber", "role", "mode", "posting")
        return (*about, "suspended_by", *self.readonly_fields[2:])

    def get_readonly_fields(
        self, request: HttpRequest, obj: Subscription | None = None
    ) -> tuple[str, ...]:
        return self.readonly_fields if obj else ()

    def get_form(
        self, request: HttpRequest, obj: Subscription | None = None, **kwargs: Any
    ) -> type[forms.ModelForm[Subscription]]:
        if obj is None:
            kwargs["form"] = NewSubscriptionForm
            kwargs["fields"] = ("mailing_list", "role")
        form: type[forms.ModelForm[Subscription]]
        form = super().get_form(request, obj, **kwargs)
        return form

    def save_model(
        self, request: HttpRequest, obj: Subscription, form: Any, change: bool
    ) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        values = form.cleaned_data
        made, _ = subscriptions.join(
            obj.mailing_list,
            values["address"],
            name=values["full_name"],
            role=values["role"],
        )
        obj.pk, obj.subscriber = made.pk, made.subscriber

    def delete_model(self, request: HttpRequest, obj: Subscription) -> None:
        subscriptions.leave_anyway(obj)

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[Subscription]
    ) -> None:
        for subscription in queryset:
            subscriptions.leave_anyway(subscription)


@admin.register(Request)
class RequestAdmin(ReadOnlyAdmin):
    list_display = ("address", "kind", "mailing_list", "created_at", "confirmed_at")
    list_filter = ("kind", "mailing_list", "created_at")
    list_select_related = ("mailing_list",)
    search_fields = ("folded", "mailing_list__name")


@admin.register(Post)
class PostAdmin(ReadOnlyAdmin):
    """Held posts are decided on the moderation page, which shows their text."""

    list_display = (
        "subject",
        "author",
        "mailing_list",
        "state",
        "recipients",
    )
    list_filter = ("state", "mailing_list", "created_at")
    search_fields = ("subject", "author", "=msg_id", "=message__key")
    date_hierarchy = "created_at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Post]:
        rows: QuerySet[Post] = super().get_queryset(request)
        return rows.select_related("mailing_list")


@admin.register(Bounce)
class BounceAdmin(ReadOnlyAdmin):
    list_display = ("subscription", "kind", "failure", "standing", "code", "text", "at")
    list_filter = ("kind", "standing", "failure", "at", "subscription__mailing_list")
    list_select_related = ("subscription__subscriber", "subscription__mailing_list")
    search_fields = ("subscription__subscriber__folded", "code", "text")


@admin.register(MemberImport)
class MemberImportAdmin(ReadOnlyAdmin):
    list_display = (
        "mailing_list",
        "by",
        "state",
        "total",
        "done",
        "added",
        "is_dry_run",
    )
    list_filter = ("state", "is_dry_run", "mailing_list")
    list_select_related = ("mailing_list", "by")
    search_fields = ("mailing_list__name",)
    exclude = ("text",)


@admin.register(Wave)
class WaveAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "failed", "total", "opened_at", "decision", "decided_by")
    list_filter = ("decision", "opened_at")
    list_select_related = ("post", "decided_by")
    search_fields = ("domain",)
