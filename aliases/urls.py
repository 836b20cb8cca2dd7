"""The web's door to the aliases."""

from django.urls import path

from aliases import views
from aliases.moving import views as moving
from smtpd import url_converters  # registers <address:...>

__all__ = ["url_converters"]

app_name = "aliases"
urlpatterns = [
    path("aliases/", views.index, name="index"),
    path("aliases/new/", views.create, name="create"),
    path("aliases/new/moved/", moving.create, name="moved-create"),
    path("aliases/<address:address>/", views.show, name="show"),
    path("aliases/<address:address>/move/", moving.move, name="move"),
    path("aliases/<address:address>/move-back/", moving.move_back, name="move-back"),
    path("aliases/<address:address>/switch/", views.switch, name="switch"),
    path("aliases/<address:address>/delete/", views.delete, name="delete"),
]
