from typing import Any

from django.db import migrations


def give_each_its_alias(apps: Any, schema_editor: Any) -> None:
    """A moved address made in the admin had none; its page is that of an alias."""
    addresses = apps.get_model("smtpd", "Address").objects
    aliases = apps.get_model("aliases", "Alias").objects
    for address in addresses.filter(kind="moved", alias=None):
        aliases.create(address=address)


class Migration(migrations.Migration):
    dependencies = [
        ("aliases", "0002_initial"),
        ("smtpd", "0005_address_correction"),
    ]

    operations = [migrations.RunPython(give_each_its_alias, migrations.RunPython.noop)]
