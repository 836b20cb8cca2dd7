"""A domain whose mail we take."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.utils import timezone

from smtpd.correction import CHOICES


class DomainQuerySet(models.QuerySet["Domain"]):
    def run_by(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those whose addresses somebody manages: all for the site's admin."""
        if not user.is_authenticated:
            return self.none()
        if getattr(user, "is_superuser", False):
            return self.all()
        return self.filter(admins=user.pk)


class Domain(models.Model):
    """A hosted domain and the key that signs for it; others are SigningKeys."""

    # A-label, lower case: what stands in envelopes and in DNS.
    name = models.CharField(max_length=255, unique=True)
    description = models.CharField(max_length=200, blank=True)
    # A closed domain keeps its rows and refuses all mail but the postmaster's.
    is_active = models.BooleanField(default=True)
    # What senders to its moved addresses hear. Empty: as the site says.
    correction = models.CharField(max_length=7, blank=True, choices=CHOICES)
    # RFC 6376 3.1: names the public key in DNS, <selector>._domainkey.<name>.
    dkim_selector = models.CharField(max_length=63, default="folkmoot")
    # PEM, PKCS 8, RSA-2048 or Ed25519. Empty: mail of this domain is not signed.
    dkim_key = models.TextField(blank=True)
    dkim_made_at = models.DateTimeField(default=timezone.now, editable=False)
    admins = models.ManyToManyField(
        settings.AUTH_USER_MODEL, blank=True, related_name="domains"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DomainQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
