"""Every page, by app."""

from allauth.account.decorators import secure_admin_login
from allauth.account.views import request_login_code
from django.contrib import admin
from django.urls import include, path

from project.account import account
from project.health import healthz
from project.metrics import metrics
from project.pages import conversions, programs
from project.signin import sign_in
from smtpd import url_converters  # registers <address:...>

__all__ = ["url_converters"]

admin.autodiscover()
# Staff sign in like everybody else: by code.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign] # allauth's documented way

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("metrics", metrics, name="metrics"),
    path("signin/<str:token>", sign_in, name="signin"),
    path("admin/", admin.site.urls),
    # There are no passwords: signing in is asking for a code.
    path("accounts/login/", request_login_code, name="account_login"),
    path("accounts/", include("allauth.urls")),
    path("account/", account, name="account"),
    path("account/programs/", programs.add, name="account-program-add"),
    path(
        "account/programs/<int:pk>/remove/",
        programs.remove,
        name="account-program-remove",
    ),
    path("", include("lists.urls")),
    path("convert/<address:address>/", conversions.convert, name="convert"),
    path("", include("aliases.urls")),
    path("", include("project.pages.urls")),
]
