"""How a message came is told by its own row; the events that repeated it go."""

from django.db import migrations


def forget(apps, schema_editor):
    apps.get_model("smtpd", "Event").objects.filter(kind="received").delete()


class Migration(migrations.Migration):
    dependencies = [("smtpd", "0007_fast_lane")]

    operations = [migrations.RunPython(forget, migrations.RunPython.noop)]
