"""The web's door to the aliases."""

from django.urls import path

from aliases import views
from smtpd import url_converters  # registers <address:...>

__all__ = ["url_converters"]

app_name = "aliases"
urlpatterns = [
    path("aliases/", views.index, name="index"),
    path("aliases/new/", views.create, name="create"),
    path("aliases/<address:address>/", views.show, name="show"),
    path("aliases/<address:address>/switch/", views.switch, name="switch"),
    path("aliases/<address:address>/delete/", views.delete, name="delete"),
]
