"""People and groups for the site's admins."""

from __future__ import annotations

from allauth.account.admin import EmailAddressAdmin as AllauthEmailAddressAdmin
from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm

from aliases.actions import provision
from project.models import User
from smtpd.admin import DomainAdmin, DomainForm
from smtpd.models import Domain


class NewUserForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    """Somebody new; they sign in with a code that we mail them."""

    class Meta:
        model = User
        fields = ("email", "name", "is_staff", "is_superuser")

    def save(self, commit: bool = True) -> User:
        """Fold the address and leave no password that could be guessed."""
        user: User = super().save(commit=False)
        user.email = user.email.lower()
        user.set_unusable_password()
        if commit:
            user.save()
        return user


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[misc,type-arg] # no types
    form = UserChangeForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("email", "name", "is_active", "is_staff", "is_superuser")
    list_filter = ("is_active", "is_staff", "is_superuser", "date_joined")
    search_fields = ("email", "name")
    ordering = ("email",)
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        (
            "Rights",
            {
                "fields": (
                    "is_active",
                    "is_staff",
                    "is_superuser",
                    "groups",
                    "user_permissions",
                )
            },
        ),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "is_staff", "is_superuser")}),)


@admin.register(Domain)
class HostedDomainAdmin(DomainAdmin):
    """A new domain has its postmaster and abuse desk from the start."""

    def save_model(
        self, request: HttpRequest, obj: Domain, form: DomainForm, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            provision(obj)


admin.site.unregister(EmailAddress)


@admin.register(EmailAddress)
class EmailAddressAdmin(AllauthEmailAddressAdmin, ModelAdmin):  # type: ignore[misc] # allauth and unfold have no types
    """Who signs in with which address."""


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc] # unfold has no types
    """Bundles of rights."""
