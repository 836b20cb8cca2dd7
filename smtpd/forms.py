"""What people choose on the pages of the queue, and about moved addresses."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings

from smtpd.correction import LABELS, Correction
from smtpd.models import Delivery
from smtpd.queue.orders import Order
from smtpd.selection import message_named
from smtpd.widgets import Choices


class DeliveryFilter(forms.Form):
    """Which rows of the ledger are shown. Nonsense in the address shows the waiting."""

    state = forms.ChoiceField(
        required=False,
        choices=(*Delivery.State.choices, ("any", "All states")),
        initial=Delivery.State.QUEUED,
    )
    # The next hop, and the address of ours that the sender wrote to.
    destination = forms.CharField(required=False, max_length=255)
    to = forms.CharField(required=False, max_length=320)
    q = forms.CharField(required=False, max_length=320)
    # Where the search for a recipient goes on: among rows older than this one.
    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)

    @property
    def chosen(self) -> dict[str, str]:
        """What was chosen and makes sense; the rest falls back to its default."""
        self.is_valid()
        data = self.cleaned_data
        words = {
            name: str(data.get(name) or "").strip() for name in ("destination", "to")
        }
        return {
            "state": data.get("state") or Delivery.State.QUEUED,
            "q": str(data.get("q") or "").strip(),
            **{name: word.lower() for name, word in words.items()},
        }

    @property
    def is_search(self) -> bool:
        """Somebody is looked for: a recipient, and not a message by its key."""
        word = self.chosen["q"]
        return bool(word) and message_named(word) is None


class OrderForm(forms.Form):
    """What to do with which rows: those picked, or all of something."""

    do = forms.ChoiceField(choices=[(order, order) for order in Order])
    # The destination itself, and not its rows.
    host = forms.CharField(required=False, max_length=255)
    pick = forms.TypedMultipleChoiceField(required=False, coerce=int)
    message = forms.SlugField(required=False, max_length=16)
    # All that a filter shows: the query of the page.
    whole = forms.BooleanField(required=False)
    filter = forms.CharField(required=False, max_length=2000)
    # Answered on the page that asks whether one is sure.
    sure = forms.BooleanField(required=False)
    back = forms.CharField(required=False, max_length=2000)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Any number will do: the view looks only among the rows of the user.
        field = self.fields["pick"]
        if isinstance(field, forms.TypedMultipleChoiceField):
            picked = self.data.getlist("pick") if hasattr(self.data, "getlist") else []
            field.choices = [(n, n) for n in picked if n.isdecimal() and len(n) < 19]

    @property
    def names_something(self) -> bool:
        """Whether there is anything to do it with."""
        data = self.cleaned_data
        return any(data[name] for name in ("host", "pick", "message", "whole"))


_CORRECTIONS = {
    Correction.FORWARD: "Senders notice nothing.",
    Correction.TELL: "The sender's server hears 251. Few programs show it to people.",
    Correction.REFER: "The sender's server hears 551, and the sender reads the new"
    " address in the mail that comes back.",
    Correction.REFUSE: "The mail comes back with the words that the person has moved.",
}


def correction_field(above: str, current: str) -> forms.ChoiceField:
    """What senders to a moved address hear: as `above` says, or one of four ways.

    Ways that tell the new address can be chosen only where the site allows it;
    `current` stays in the list.
    """
    may_disclose = settings.MOVED_DISCLOSE
    ways = [
        (way.value, LABELS[way])
        for way in Correction
        if may_disclose or not way.discloses or way == current
    ]
    private = (
        ""
        if may_disclose
        else " This site tells nobody a new address, so the ways that would are not"
        " offered."
    )
    return forms.ChoiceField(
        label="What senders hear",
        required=False,
        choices=[("", above), *ways],
        initial=current,
        help_text=f"Said to their mail server while it is connected.{private}",
        widget=Choices({way.value: text for way, text in _CORRECTIONS.items()}),
    )
