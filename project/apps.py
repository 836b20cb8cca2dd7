from django.apps import AppConfig


class ProjectConfig(AppConfig):
    name = "project"
    verbose_name = "Accounts"
    default_auto_field = "django.db.models.BigAutoField"
