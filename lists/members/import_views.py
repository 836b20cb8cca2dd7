"""Many members in, as a job of a worker, and all of them out."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from lists import access
from lists.access import Role
from lists.members import actions
from lists.members.forms import ImportForm
from lists.models import MemberImport
from lists.subscriptions import imports


@require_http_methods(["GET", "HEAD", "POST"])
def begin(request: HttpRequest, address: str) -> HttpResponse:
    """Take the text; the first run changes nothing."""
    mlist = access.list_for_owner(request.user, address)
    form = ImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        job = actions.start_import(
            mlist, form.people, by=request.user.pk, is_dry_run=True
        )
        return redirect("lists:members-import-job", address, job.pk)
    context = {
        "mlist": mlist,
        "role": Role.OWNER,
        "form": form,
        "jobs": mlist.imports.defer("text", "problems")[:5],
    }
    return render(request, "lists/members/import.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def job(request: HttpRequest, address: str, pk: int) -> HttpResponse:
    """How far it is; a POST on a finished dry run does it in earnest."""
    mlist = access.list_for_owner(request.user, address)
    found = get_object_or_404(mlist.imports.defer("text"), pk=pk)
    is_done = found.state == MemberImport.State.DONE
    if request.method == "POST":
        if is_done and found.is_dry_run:
            found = actions.import_in_earnest(found)
            messages.success(request, "Started. You may leave this page.")
        return redirect("lists:members-import-job", address, found.pk)
    context = {
        "mlist": mlist,
        "role": Role.OWNER,
        "job": found,
        "is_running": found.state in {"waiting", "running"},
    }
    part = "#progress" if request.headers.get("HX-Request") else ""
    return render(request, f"lists/members/job.html{part}", context)


class _Line:
    """What csv.writer writes to: it hands the line back."""

    def write(self, line: str) -> str:
        return line


@require_safe
def export(request: HttpRequest, address: str) -> StreamingHttpResponse:
    """All members as CSV, written while it is read from the database."""
    mlist = access.list_for_owner(request.user, address)
    writer = csv.writer(_Line())

    def lines() -> Iterator[str]:
        for row in imports.export_members(mlist):
            yield writer.writerow(row)

    response = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
    name = mlist.address.local_part
    response["Content-Disposition"] = f'attachment; filename="{name}-members.csv"'
    return response
