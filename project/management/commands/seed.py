"""Fill the site with a demonstration."""

from __future__ import annotations

import logging
from typing import Any

from django.core.management.base import BaseCommand

from project.demo import DOMAIN, fill


class Command(BaseCommand):
    help = "Make a demonstration domain, lists, alias and people; twice does no harm."

    def handle(self, *args: Any, **options: Any) -> None:
        # Forty people who join are no news.
        logging.disable(logging.INFO)
        fill()
        logging.disable(logging.NOTSET)
        self.stdout.write(f"{DOMAIN} is there: talk@, news@ and hello@")
