"""An e-mail address as a part of a URL."""

from __future__ import annotations

from django.urls import register_converter


class AddressConverter:
    """Any case in, lower case to the view; `new` is no address."""

    regex = r"[^/@]+@[^/@]+"

    def to_python(self, value: str) -> str:
        return value.lower()

    def to_url(self, value: object) -> str:
        return str(value)


register_converter(AddressConverter, "address")
