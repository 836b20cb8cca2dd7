"""Writing to a list, and answering a post, on a page."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from lists import access
from lists.models import MailingList, Post
from lists.posting import writing
from lists.posting.forms import WriteForm
from lists.posting.writing import NotSent, StaleForm, Words


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def write(request: HttpRequest, address: str) -> HttpResponse:
    """A message that begins a thread."""
    mlist = access.list_for_reader(request.user, address)
    return _page(request, mlist, None)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def reply(request: HttpRequest, address: str, pk: int) -> HttpResponse:
    """An answer to a post that the person may read."""
    mlist, _ = access.posts_for_reader(request.user, address)
    posts = mlist.posts.filter(state=Post.State.ACCEPTED).select_related("message")
    return _page(request, mlist, get_object_or_404(posts, pk=pk))


def _page(
    request: HttpRequest, mlist: MailingList, parent: Post | None
) -> HttpResponse:
    authors = writing.authors_on(mlist, request.user)
    ticket = request.POST.get("ticket", "")
    form = WriteForm(request.POST or None, authors=authors, initial=_begin(parent))
    if request.method == "POST" and authors and form.is_valid():
        try:
            post, is_new = writing.write(
                mlist, form.author, _words(form, parent), ticket=ticket
            )
        except NotSent as error:
            form.add_error(None, error)
            if isinstance(error, StaleForm):
                ticket = ""
        else:
            _tell(request, post, is_new=is_new)
            return redirect(_after(request, mlist, post))
    role = access.role_on(request.user, mlist)
    context = {
        "mlist": mlist,
        "role": role,
        "may_read": access.may_read_posts(mlist, role),
        "parent": parent,
        "form": form,
        "authors": authors,
        "forecast": writing.forecast(mlist, authors[0]) if authors else None,
        "ticket": ticket or writing.new_ticket(mlist, request.user.pk or 0),
    }
    return render(request, "lists/posting/write.html", context)


def _begin(parent: Post | None) -> dict[str, str]:
    """What the form of an answer begins with."""
    if parent is None:
        return {}
    words = writing.answer_to(parent)
    return {"subject": words.subject, "text": words.text}


def _words(form: WriteForm, parent: Post | None) -> Words:
    said = form.cleaned_data
    references = writing.references_of(parent) if parent else ()
    return Words(said["subject"], said["text"], references)


def _tell(request: HttpRequest, post: Post, *, is_new: bool) -> None:
    """Say what became of it."""
    name = post.mailing_list
    if not is_new:
        messages.info(request, "It had been sent already, and was not sent twice.")
    elif post.state == Post.State.HELD:
        why = " ".join(post.reasons)
        messages.warning(request, f"It waits for a moderator of {name}. {why}")
    else:
        messages.success(request, f"Sent: it is on its way to everybody on {name}.")


def _after(request: HttpRequest, mlist: MailingList, post: Post) -> str:
    """The post where it is shown to its author, else the list."""
    address = mlist.posting_address
    is_shown = access.may_read_posts(mlist, access.role_on(request.user, mlist))
    if is_shown and post.state == Post.State.ACCEPTED:
        return reverse("lists:posting-post", args=[address, post.pk])
    return reverse("lists:show", args=[address])
