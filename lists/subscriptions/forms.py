"""What people say about their own subscriptions."""

from __future__ import annotations

from django import forms

from lists.models import Subscription


class JoinForm(forms.Form):
    email = forms.CharField(
        label="Your e-mail address",
        max_length=320,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    name = forms.CharField(
        label="Your name",
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )


class ModeForm(forms.Form):
    mode = forms.ChoiceField(label="Mail from this list", choices=Subscription.Mode)
