"""The web's door to the lists: the list itself here, each flow's pages by include."""

from django.urls import include, path

from lists import views
from smtpd import url_converters  # registers <address:...>

__all__ = ["url_converters"]

app_name = "lists"
urlpatterns = [
    path("", views.home, name="home"),
    path("lists/new/", views.create, name="create"),
    path("lists/<address:address>/", views.show, name="show"),
    path("lists/<address:address>/settings/", views.settings, name="settings"),
    path("lists/<address:address>/delete/", views.delete, name="delete"),
    path("", include("lists.subscriptions.urls")),
    path("", include("lists.members.urls")),
    path("", include("lists.moderation.urls")),
    path("", include("lists.posting.urls")),
    path("", include("lists.bounces.urls")),
]
