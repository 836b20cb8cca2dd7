"""What happened to mail: a ledger that nobody edits, without its raw bytes."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from smtpd.admin.reading import ReadOnlyAdmin
from smtpd.models import (
    Copy,
    Event,
    Message,
    Outgoing,
    Report,
)


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ("key", "received_at", "author", "subject", "size", "source")
    list_filter = ("source", "received_at", "protocol")
    search_fields = ("key", "=msg_id", "author", "subject", "reverse_path")
    exclude = ("raw", "trace")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        rows: QuerySet[Message] = super().get_queryset(request)
        return rows.defer("raw", "trace")


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("at", "kind", "text", "message")
    list_filter = ("kind", "at")
    search_fields = ("=message__key", "text")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        rows: QuerySet[Event] = super().get_queryset(request)
        return rows.select_related("message").defer("message__raw", "message__trace")


@admin.register(Outgoing)
class OutgoingAdmin(ReadOnlyAdmin):
    list_display = ("message", "lane", "envelope", "reverse_path", "created_at")
    list_filter = ("lane", "envelope", "created_at")
    search_fields = ("=message__key", "reverse_path")
    exclude = ("head", "copy_head", "body", "body_splices")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Outgoing]:
        rows: QuerySet[Outgoing] = super().get_queryset(request)
        return rows.select_related("message").defer(
            "message__raw", "message__trace", "head", "copy_head", "body"
        )


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    list_display = ("address", "action", "message", "settled_at")
    list_filter = ("action", "settled_at")
    search_fields = ("address", "=message__key")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Report]:
        rows: QuerySet[Report] = super().get_queryset(request)
        return rows.select_related("message").defer("message__raw", "message__trace")


@admin.register(Copy)
class CopyAdmin(ReadOnlyAdmin):
    list_display = ("forward_path", "subject", "author", "size", "received_at")
    list_filter = ("received_at",)
    search_fields = ("forward_path", "subject", "author")
    exclude = ("raw",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Copy]:
        rows: QuerySet[Copy] = super().get_queryset(request)
        return rows.defer("raw")
