"""What was posted to a list."""

from django.urls import path

from lists.posting import views

urlpatterns = [
    path("lists/<address:address>/posts/", views.posts, name="posting-posts"),
    path("lists/<address:address>/posts/<int:pk>/", views.post, name="posting-post"),
]
