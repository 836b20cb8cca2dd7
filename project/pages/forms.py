"""What people write about domains, and when an alias becomes a list."""

from __future__ import annotations

from typing import Any

from django import forms

from smtpd.forms import correction_field
from smtpd.models import Address, Domain
from smtpd.widgets import Choices

_PLAIN = {"autocapitalize": "none", "spellcheck": "false"}


class DomainForm(forms.Form):
    name = forms.CharField(
        label="Domain",
        max_length=255,
        help_text="Such as lists.example.org. A name of its own beside your everyday"
        " mail is the easiest to set up. Any script will do.",
        widget=forms.TextInput(attrs=_PLAIN),
    )
    description = forms.CharField(
        label="Note",
        required=False,
        max_length=200,
        help_text="For you and the other admins.",
    )
    dkim = forms.ChoiceField(
        label="Signature on its mail",
        choices=(("rsa", "RSA"), ("ed25519", "Ed25519"), ("", "None")),
        initial="rsa",
        required=False,
        widget=Choices(
            {
                "rsa": "Every mail server can check it. Choose this if in doubt.",
                "ed25519": "Shorter and faster; some large providers ignore it.",
                "": "Large providers refuse unsigned mail or put it into spam.",
            }
        ),
    )


class AdminForm(forms.Form):
    email = forms.EmailField(
        label="E-mail address",
        max_length=254,
        help_text="They sign in with a code sent to this address.",
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )


class KeyForm(forms.Form):
    dkim = forms.ChoiceField(
        label="Kind",
        choices=(("rsa", "RSA"), ("ed25519", "Ed25519")),
        initial="rsa",
        widget=Choices(
            {
                "rsa": "Every mail server can check it. Choose this if in doubt.",
                "ed25519": "Shorter and faster; some large providers ignore it.",
            }
        ),
    )
    selector = forms.RegexField(
        r"^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$",
        label="Selector",
        required=False,
        max_length=63,
        help_text="Its name in DNS. Leave it empty for one with the month in it.",
        error_messages={"invalid": "Use letters, digits and dashes."},
        widget=forms.TextInput(attrs={**_PLAIN, "class": "mono"}),
    )


class CorrectionForm(forms.Form):
    """What senders to a domain's moved addresses hear."""

    correction = forms.ChoiceField()

    def __init__(self, *args: Any, domain: Domain, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        site = Address(domain=Domain()).decision.label.lower()
        above = f"As the site says: {site}"
        self.fields["correction"] = correction_field(above, domain.correction)


class ToListForm(forms.Form):
    name = forms.CharField(
        label="Name of the list",
        max_length=100,
        help_text="As people call it, such as Garden Club.",
    )
