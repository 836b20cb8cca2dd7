from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('smtpd', '0002_failed_deliveries'),
    ]

    operations = [
        migrations.AlterField(
            model_name='message',
            name='source',
            field=models.CharField(choices=[('smtp', 'SMTP'), ('site', 'Site'), ('web', 'Web')], default='smtp', max_length=4),
        ),
    ]
