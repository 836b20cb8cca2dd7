"""An address that stands for others."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower

from smtpd.models import Address


class Alias(models.Model):
    """Mail to its address goes on to its targets, unchanged (RFC 5321 3.9.1).

    Without targets it is delivered to the domain's admins: that is how
    postmaster and abuse begin.
    """

    address = models.OneToOneField(Address, models.CASCADE, related_name="alias")
    description = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("address__local_part",)
        verbose_name_plural = "aliases"

    def __str__(self) -> str:
        return str(self.address)


class Target(models.Model):
    """One address an alias stands for: anybody's, another alias or a list."""

    alias = models.ForeignKey(Alias, models.CASCADE, related_name="targets")
    # local-part@domain; the domain in lower case.
    mailbox = models.CharField(max_length=320)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint("alias", "mailbox", name="target_is_unique"),
        )
        # Whose aliases are these? Asked when somebody logs in.
        indexes = (models.Index(Lower("mailbox"), name="target_by_mailbox"),)

    def __str__(self) -> str:
        return self.mailbox
