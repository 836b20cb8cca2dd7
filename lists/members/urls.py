"""The people on a list, for its owners."""

from django.urls import include, path

from lists.members import import_views, views

pages = [
    path("", views.members, name="members"),
    path("add/", views.add, name="members-add"),
    path("remove/", views.remove, name="members-remove"),
    path("export/", import_views.export, name="members-export"),
    path("import/", import_views.begin, name="members-import"),
    path("import/<int:pk>/", import_views.job, name="members-import-job"),
    path("<int:pk>/", views.member, name="members-member"),
    path("<int:pk>/pause/", views.pause, name="members-pause"),
    path("<int:pk>/resume/", views.resume, name="members-resume"),
]
urlpatterns = [path("lists/<address:address>/members/", include(pages))]
