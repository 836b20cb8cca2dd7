"""What the band on top of each page shows to whom."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from lists.access import Role, lists_with_role, waves_of
from lists.models import Post
from project.models import User
from smtpd.models import Domain
from smtpd.queue.alarms import Alarm, alarms


class Navigation:
    """Asks the database only for what a template reads."""

    def __init__(self, user: User | AnonymousUser) -> None:
        self.user = user

    @cached_property
    def held(self) -> int:
        """Posts that wait for this person's decision."""
        mine = lists_with_role(self.user, Role.MODERATOR)
        return Post.objects.held().filter(mailing_list__in=mine).count()

    @cached_property
    def moderates(self) -> bool:
        return lists_with_role(self.user, Role.MODERATOR).exists()

    @cached_property
    def runs_domains(self) -> bool:
        """Whether aliases, domains, queue and mailbox are theirs to see."""
        if getattr(self.user, "is_superuser", False):
            return True
        return Domain.objects.run_by(self.user).exists()

    @cached_property
    def waves(self) -> int:
        """Waves of bounces that wait for this person's decision."""
        return waves_of(self.user).open().count()

    @cached_property
    def alarms(self) -> list[Alarm]:
        """Who does not want our mail, for whoever can do something about it."""
        return alarms() if self.runs_domains else []


def navigation(request: HttpRequest) -> dict[str, Any]:
    """A context processor; an error page may come without a user."""
    return {"nav": Navigation(getattr(request, "user", None) or AnonymousUser())}
