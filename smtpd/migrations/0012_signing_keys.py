import django.db.models.deletion
import django.utils.timezone
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def date_the_keys(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """A key that was there before is as old as its domain."""
    domains = apps.get_model("smtpd", "Domain").objects
    domains.update(dkim_made_at=models.F("created_at"))


class Migration(migrations.Migration):
    dependencies = [
        ("smtpd", "0011_failure_classes"),
    ]

    operations = [
        migrations.AddField(
            model_name="domain",
            name="dkim_made_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now, editable=False
            ),
        ),
        migrations.RunPython(date_the_keys, migrations.RunPython.noop),
        migrations.CreateModel(
            name="SigningKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("selector", models.CharField(max_length=63)),
                ("pem", models.TextField(blank=True)),
                ("public", models.TextField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("next", "Next"),
                            ("former", "Former"),
                            ("revoked", "Revoked"),
                            ("gone", "Gone"),
                        ],
                        default="next",
                        max_length=7,
                    ),
                ),
                ("made_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("stopped_at", models.DateTimeField(blank=True, null=True)),
                (
                    "domain",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="signing_keys",
                        to="smtpd.domain",
                    ),
                ),
            ],
            options={
                "ordering": ("made_at", "id"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("domain", "selector"), name="one_key_per_selector"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "next")),
                        fields=("domain",),
                        name="one_next_key",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state", "next"), ("pem", ""), _connector="OR"
                        ),
                        name="only_next_keys_are_private",
                    ),
                ],
            },
        ),
    ]
