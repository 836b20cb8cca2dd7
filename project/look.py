"""How Django's admin looks: like the pages (static/css/tokens.css), not like itself."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static


def _mark(request: HttpRequest) -> str:
    return static("img/icon.svg")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Folkmoot",
    "SITE_HEADER": "Folkmoot",
    "SITE_SUBHEADER": "Behind the pages",
    "SITE_ICON": _mark,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _mark}],
    "SITE_DROPDOWN": [
        {"icon": "arrow_back", "title": "To the pages", "link": "/"},
        {"icon": "database", "title": "All tables", "link": "/admin/"},
    ],
    "COLORS": {
        # The accent at 600, where buttons and links take it from.
        "primary": {
            "50": "oklch(97.5% .014 160)",
            "100": "oklch(95.4% .026 160)",
            "200": "oklch(90% .05 162)",
            "300": "oklch(83% .08 163)",
            "400": "oklch(77% .1 164)",
            "500": "oklch(66% .1 164)",
            "600": "oklch(42.5% .088 164)",
            "700": "oklch(38% .082 164)",
            "800": "oklch(33% .07 165)",
            "900": "oklch(28.5% .047 168)",
            "950": "oklch(21% .035 168)",
        },
    },
}
