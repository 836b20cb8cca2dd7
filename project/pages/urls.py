"""The web's door to the mail server, one namespace for all its pages."""

from django.urls import include, path

from project.pages import domains, explain, traces

app_name = "smtpd"
urlpatterns = [
    path("domains/", domains.index, name="domains"),
    path("domains/new/", domains.create, name="domain-create"),
    path("domains/<str:name>/", domains.show, name="domain"),
    path("domains/<str:name>/switch/", domains.switch, name="domain-switch"),
    path("domains/<str:name>/admins/", domains.appoint, name="domain-appoint"),
    path("domains/<str:name>/admins/<int:pk>/", domains.dismiss, name="domain-dismiss"),
    path("domains/<str:name>/correction/", domains.correct, name="domain-correction"),
    path("domains/<str:name>/key/", domains.renew_key, name="domain-key"),
    path("messages/", traces.index, name="messages"),
    path("messages/<slug:key>/", traces.show, name="trace"),
    path("explain/", explain.show, name="explain"),
    path("", include("smtpd.urls")),
]
