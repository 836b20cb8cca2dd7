"""A person's e-mail address, whatever lists it is on."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Subscriber(models.Model):
    """One e-mail address. Its user appears when that person signs in."""

    # As the person wrote it, the domain in lower case.
    address = models.CharField(max_length=320)
    # Lower case throughout: what makes two addresses the same.
    folded = models.CharField(max_length=320, unique=True)
    # The part behind the @: the destination when we deliver by MX.
    domain = models.CharField(max_length=255)
    name = models.CharField(max_length=100, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="subscribers",
    )
    # When the person last proved that the address is theirs.
    verified_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("folded",)

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address
