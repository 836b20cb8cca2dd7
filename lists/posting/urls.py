"""What was posted to a list."""

from django.urls import path

from lists.posting import views, write_views

urlpatterns = [
    path("lists/<address:address>/posts/", views.posts, name="posting-posts"),
    path("lists/<address:address>/posts/<int:pk>/", views.post, name="posting-post"),
    path("lists/<address:address>/write/", write_views.write, name="posting-write"),
    path(
        "lists/<address:address>/posts/<int:pk>/reply/",
        write_views.reply,
        name="posting-reply",
    ),
]
