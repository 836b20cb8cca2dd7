"""Joining, leaving, and what a member decides for themselves."""

from django.urls import path

from lists.subscriptions import links, views

urlpatterns = [
    path("subscriptions/", views.mine, name="subscriptions-mine"),
    path("subscriptions/<int:pk>/mode/", views.mode, name="subscriptions-mode"),
    path("subscriptions/<int:pk>/pause/", views.pause, name="subscriptions-pause"),
    path("subscriptions/<int:pk>/resume/", views.resume, name="subscriptions-resume"),
    path("subscriptions/<int:pk>/leave/", views.leave, name="subscriptions-leave"),
    path("lists/<address:address>/join/", views.join, name="subscriptions-join"),
    path("lists/<address:address>/asked/", views.asked, name="subscriptions-asked"),
    # The links in our mail.
    path("u/<str:token>", links.unsubscribe, name="links-unsubscribe"),
    path("confirm/<str:token>", links.confirm, name="links-confirm"),
    path("resume/<str:token>", links.resume, name="links-resume"),
]
