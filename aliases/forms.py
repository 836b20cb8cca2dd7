"""What people write about an alias."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from aliases.actions import Refused, check_address
from aliases.targets import parse_targets
from smtpd.access import Person, domains_of
from smtpd.models import Domain

# Wrong lines named at once; a pasted novel must not come back as errors.
MAX_NAMED = 12


def last_day_field() -> forms.DateField:
    """The same for whatever may end."""
    return forms.DateField(
        label="Last day",
        required=False,
        help_text="After it, mail is refused with the words that the address has"
        " expired; nothing is forgotten. Empty: it does not end.",
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
    )


class AliasForm(forms.Form):
    """Where mail to an alias goes. What was typed stays in the box."""

    targets = forms.CharField(
        label="Targets",
        # Line numbers must be those of the box.
        strip=False,
        error_messages={"required": "Name at least one address."},
        help_text="One address a line: people anywhere, lists or other aliases of"
        " this site. Mail goes on to each of them as it came.",
        widget=forms.Textarea(
            attrs={
                "rows": 6,
                "class": "mono",
                "spellcheck": "false",
                "autocapitalize": "none",
            }
        ),
    )
    description = forms.CharField(
        label="Note",
        required=False,
        max_length=200,
        help_text="For you and the other admins: what the address is for.",
    )

    last_day = last_day_field()

    def __init__(self, *args: Any, is_role: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_role:
            # Every domain keeps it; without targets its admins get the mail.
            self.fields["targets"].required = False
            del self.fields["last_day"]

    def clean_targets(self) -> list[str]:
        targets, problems = parse_targets(self.cleaned_data["targets"])
        named = [
            ValidationError(
                "Line %(number)s: %(line)s %(text)s.",
                code="line",
                params={"number": p.number, "line": p.line[:80], "text": p.text},
            )
            for p in problems[:MAX_NAMED]
        ]
        if len(problems) > MAX_NAMED:
            rest = f"{len(problems) - MAX_NAMED} more lines have problems."
            named.append(ValidationError(rest, code="more"))
        if named:
            raise ValidationError(named)
        return targets


class NewAddressForm(forms.Form):
    """An address that is not there yet, of a domain somebody runs."""

    local_part = forms.CharField(
        label="Address",
        max_length=64,
        help_text="The part before the @. It cannot be changed later.",
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    domain = forms.ModelChoiceField(
        Domain.objects.none(), label="Domain", empty_label=None
    )

    def __init__(self, *args: Any, user: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["domain"]
        if isinstance(field, forms.ModelChoiceField):
            field.queryset = domains_of(user)

    def clean(self) -> dict[str, Any]:
        """Say at the address itself that it is taken or reserved."""
        data = super().clean() or self.cleaned_data
        if {"local_part", "domain"} <= data.keys():
            try:
                check_address(self.address)
            except Refused as refusal:
                self.add_error("local_part", refusal)
        return data

    @property
    def address(self) -> str:
        local_part = str(self.cleaned_data["local_part"]).strip()
        return f"{local_part}@{self.cleaned_data['domain'].name}"


class NewAliasForm(NewAddressForm, AliasForm):
    """An alias with its address."""
