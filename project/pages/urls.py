"""The web's door to the mail server, one namespace for all its pages."""

from django.urls import include, path

from project.pages import domains, explain, keys, traces

app_name = "smtpd"
urlpatterns = [
    path("domains/", domains.index, name="domains"),
    path("domains/new/", domains.create, name="domain-create"),
    path("domains/<str:name>/", domains.show, name="domain"),
    path("domains/<str:name>/switch/", domains.switch, name="domain-switch"),
    path("domains/<str:name>/admins/", domains.appoint, name="domain-appoint"),
    path("domains/<str:name>/admins/<int:pk>/", domains.dismiss, name="domain-dismiss"),
    path("domains/<str:name>/correction/", domains.correct, name="domain-correction"),
    path("domains/<str:name>/keys/", keys.show, name="domain-keys"),
    path("domains/<str:name>/keys/make/", keys.make, name="domain-key-make"),
    path("domains/<str:name>/keys/switch/", keys.switch, name="domain-key-switch"),
    path("domains/<str:name>/keys/drop/", keys.drop, name="domain-key-drop"),
    path(
        "domains/<str:name>/keys/<str:selector>/revoke/",
        keys.revoke,
        name="domain-key-revoke",
    ),
    path(
        "domains/<str:name>/keys/<str:selector>/forget/",
        keys.forget,
        name="domain-key-forget",
    ),
    path("messages/", traces.index, name="messages"),
    path("messages/<slug:key>/", traces.show, name="trace"),
    path("explain/", explain.show, name="explain"),
    path("", include("smtpd.urls")),
]
