"""Held posts: of one list, and of all of a person's lists."""

from django.urls import path

from lists.moderation import views

urlpatterns = [
    path("moderation/", views.every, name="moderation-all"),
    path("lists/<address:address>/moderation/", views.queue, name="moderation-queue"),
    path(
        "lists/<address:address>/moderation/<int:pk>/",
        views.post,
        name="moderation-post",
    ),
]
