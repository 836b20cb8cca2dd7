"""Form controls that every room uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms


class Choices(forms.RadioSelect):
    """Radio buttons, each with a sentence on what choosing it does.

    The sentences are keyed by the choice's value.
    """

    template_name = "forms/choices.html"

    def __init__(self, helps: Mapping[str, str], *, tiles: bool = False) -> None:
        super().__init__(attrs={"class": "choices-tiles"} if tiles else None)
        self.helps = helps

    def create_option(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(*args, **kwargs)
        option["help"] = self.helps.get(str(option["value"]), "")
        return option
