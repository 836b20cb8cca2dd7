"""Sweep the ledger by what was sent, not by how much of it is kept.

By default autovacuum waits for a fifth of the table to change: six million dead
rows in a ledger of thirty million, whose entries each claim would walk over in
the index on what is due. And it leaves the indexes alone when few pages of a
large table have dead rows, which is always so here.
"""

from django.db import migrations

OPTIONS = {
    "autovacuum_vacuum_scale_factor": "0",
    "autovacuum_vacuum_threshold": "200000",
    "autovacuum_analyze_scale_factor": "0",
    "autovacuum_analyze_threshold": "200000",
    "vacuum_index_cleanup": "on",
}


def set_options(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        words = ", ".join(f"{name} = {value}" for name, value in OPTIONS.items())
        schema_editor.execute(f"ALTER TABLE smtpd_delivery SET ({words})")


def reset_options(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        names = ", ".join(OPTIONS)
        schema_editor.execute(f"ALTER TABLE smtpd_delivery RESET ({names})")


class Migration(migrations.Migration):
    dependencies = [("smtpd", "0015_held_destinations")]
    operations = [migrations.RunPython(set_options, reset_options)]
