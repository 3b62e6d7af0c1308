from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('backfill', '0006_flight'),
    ]

    operations = [
        migrations.AddField(
            model_name='sourcetimeline',
            name='held_at',
            field=models.DateTimeField(null=True),
        ),
    ]
