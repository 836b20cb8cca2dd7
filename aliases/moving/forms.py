"""What people write about an address that has moved."""

from __future__ import annotations

from typing import Any

from django import forms

from aliases.forms import NewAddressForm, last_day_field
from smtpd.forms import correction_field
from smtpd.models import Address


class MovedForm(forms.Form):
    """Where the person is now, and what senders hear."""

    moved_to = forms.CharField(
        label="New address",
        max_length=320,
        help_text="Where the person is now, anywhere or here.",
        widget=forms.TextInput(
            attrs={
                "inputmode": "email",
                "autocapitalize": "none",
                "spellcheck": "false",
                "autocomplete": "off",
            }
        ),
    )
    correction = forms.ChoiceField()
    description = forms.CharField(
        label="Note",
        required=False,
        max_length=200,
        help_text="For you and the other admins: whose address it is.",
    )
    last_day = last_day_field()

    def __init__(
        self, *args: Any, address: Address | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        above, current = "As its domain says", ""
        if address is not None:
            current = address.correction
            held = Address(domain=address.domain).decision.label.lower()
            above = f"{above}: {held}"
        self.fields["correction"] = correction_field(above, current)


class NewMovedForm(NewAddressForm, MovedForm):
    """A moved address that was not here before."""
