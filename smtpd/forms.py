"""What people choose on the pages of the queue and the mailbox."""

from __future__ import annotations

from typing import Any

from django import forms

from smtpd.models import Delivery, Destination

VERBS = (("retry", "Retry now"), ("hold", "Hold"), ("cancel", "Cancel"))


class DeliveryFilter(forms.Form):
    """Which rows of the ledger are shown. Nonsense in the address shows the waiting."""

    state = forms.ChoiceField(
        required=False,
        choices=(*Delivery.State.choices, ("any", "All states")),
        initial=Delivery.State.QUEUED,
    )
    destination = forms.ChoiceField(required=False)
    q = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.TextInput(
            attrs={"type": "search", "placeholder": "Recipient or message key"}
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = Destination.objects.values_list("name", "name")
        field = self.fields["destination"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [("", "All destinations"), *names]

    @property
    def chosen(self) -> dict[str, str]:
        """What was chosen and makes sense; the rest falls back to its default."""
        self.is_valid()
        data = self.cleaned_data
        return {
            "state": data.get("state") or Delivery.State.QUEUED,
            "destination": data.get("destination") or "",
            "q": str(data.get("q") or "").strip(),
        }


class VerbForm(forms.Form):
    """What to do with which rows: those picked, or all of a message."""

    do = forms.ChoiceField(choices=VERBS)
    pick = forms.TypedMultipleChoiceField(required=False, coerce=int)
    message = forms.SlugField(required=False, max_length=16)
    # Answered on the page that asks whether one is sure.
    sure = forms.BooleanField(required=False)
    back = forms.CharField(required=False, max_length=500)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Any number will do: the view looks only among the rows of the user.
        field = self.fields["pick"]
        if isinstance(field, forms.TypedMultipleChoiceField):
            picked = self.data.getlist("pick") if hasattr(self.data, "getlist") else []
            field.choices = [(n, n) for n in picked if n.isdecimal() and len(n) < 19]
