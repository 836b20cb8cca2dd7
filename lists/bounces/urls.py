"""Waves of bounces, for owners and whoever runs the site."""

from django.urls import path

from lists.bounces import views

urlpatterns = [
    path("waves/", views.waves, name="waves"),
    path("waves/<int:pk>/", views.wave, name="waves-wave"),
    path("waves/<int:pk>/decide/", views.decide, name="waves-decide"),
]
