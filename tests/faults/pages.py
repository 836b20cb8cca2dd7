"""Somebody with a browser, without the browser: forms are sent as it would.

owner = Visitor(stack, "olga@example.org")
owner.submit("/lists/talk@lists.test/delete/", address="talk@lists.test")
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from typing import IO
from urllib.parse import urlencode, urlsplit

from tests.stack import Stack


class _Stay(urllib.request.HTTPRedirectHandler):
    """Where a form leads to is how we know that it was taken."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> None:
        """Do not follow."""


class Visitor:
    """A person who has signed in by the link that an operator made."""

    def __init__(self, stack: Stack, email: str) -> None:
        self.stack = stack
        self.cookies = CookieJar()
        jar = urllib.request.HTTPCookieProcessor(self.cookies)
        self.browser = urllib.request.build_opener(jar, _Stay)
        path = urlsplit(stack.manage("signin", email).strip()).path
        # The page with the button brings the cookie that a form repeats.
        self.browser.open(stack.base_url + path, timeout=30).close()
        self.submit(path)

    def submit(self, path: str, **fields: str) -> None:
        """Send a form; fail unless the site does what it says."""
        [token] = [c.value or "" for c in self.cookies if c.name == "csrftoken"]
        data = urlencode({"csrfmiddlewaretoken": token} | fields).encode()
        code, said = self._send(self.stack.base_url + path, data)
        assert code == 302, f"{path}: {code} {said[-3000:]}"

    def _send(self, url: str, data: bytes) -> tuple[int, str]:
        try:
            with self.browser.open(url, data, timeout=60) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.read().decode()
