from django.apps import AppConfig


class SmtpdConfig(AppConfig):
    name = "smtpd"
    verbose_name = "Mail server"
    default_auto_field = "django.db.models.BigAutoField"
