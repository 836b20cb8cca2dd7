"""A list and what its owner decided about it."""

from __future__ import annotations

from django.db import models

from smtpd.models import Address


class MailingList(models.Model):
    """An address with subscribers, each of whom gets a copy of every post."""

    class Posters(models.TextChoices):
        MEMBERS = "members", "Members"
        ANYONE = "anyone", "Anyone"
        # Owners and moderators: an announcement list.
        OWNERS = "owners", "Owners and moderators only"

    class Others(models.TextChoices):
        # A moderator decides.
        HOLD = "hold", "Hold their mail for a moderator"
        # The sender's server is told no, with the reason, while it is connected.
        REFUSE = "refuse", "Refuse their mail with a reason"

    class ReplyTo(models.TextChoices):
        # The author's own choice stands.
        AUTHOR = "author", "The author"
        LIST = "list", "The list"

    class Joining(models.TextChoices):
        # Anyone who confirms that the address is theirs.
        OPEN = "open", "Anyone, after confirming their address"
        # Only by an owner.
        CLOSED = "closed", "Nobody: owners add members"

    address = models.OneToOneField(Address, models.CASCADE, related_name="mailing_list")
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True)
    # Shown to strangers on the home page; a private list answers them 404.
    is_public = models.BooleanField(default=True)
    joining = models.CharField(max_length=6, choices=Joining, default=Joining.OPEN)
    posters = models.CharField(max_length=7, choices=Posters, default=Posters.MEMBERS)
    others = models.CharField(max_length=6, choices=Others, default=Others.HOLD)
    # Put before the subject, as it stands. Empty: the subject is not touched.
    subject_prefix = models.CharField(max_length=60, blank=True)
    # Put under the text. Empty: the body is not touched and signatures hold.
    footer = models.TextField(blank=True)
    reply_to = models.CharField(max_length=6, choices=ReplyTo, default=ReplyTo.AUTHOR)
    # Bytes, whole message.
    max_size = models.PositiveIntegerField(default=10_000_000)
    is_archived = models.BooleanField(default=False)
    # Half points of bounces at which a subscription is suspended (10 = 5 days
    # with a hard bounce).
    bounce_limit = models.PositiveSmallIntegerField(default=10)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def posting_address(self) -> str:
        return str(self.address)

    def sub_address(self, suffix: str) -> str:
        """`list-owner@domain` and its kin."""
        return f"{self.address.local_part}-{suffix}@{self.address.domain.name}"

    @property
    def list_id(self) -> str:
        """The identifier between the brackets of List-Id, in ASCII (RFC 2919 2)."""
        label = self.address.local_part
        if not label.isascii():
            label = f"xn--{label.encode('punycode').decode('ascii')}"
        return f"{label}.{self.address.domain.name}"

    @property
    def held_count(self) -> int:
        """Posts that wait for a moderator."""
        return self.posts.filter(state="held").count()
