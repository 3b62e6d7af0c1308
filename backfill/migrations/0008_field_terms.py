from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('backfill', '0001_squashed_0007_held_at'),
    ]

    operations = [
        migrations.RenameModel('WorkerSighting', 'WorkerHeartbeat'),
        migrations.RenameModel('SourceTimeline', 'StoredRequestSchedule'),
        migrations.RenameModel('ServiceTotals', 'StoredJobCounters'),
        migrations.RenameField('auditrecord', 'door', 'channel'),
        migrations.RenameField('auditrecord', 'deed', 'action'),
        migrations.RenameField('backfilljob', 'flight', 'crash_isolation'),
        migrations.RenameField('backfilljob', 'notices', 'webhook_events'),
        # An index must not name a field that is renamed: SQLite rebuilds tables together with their indexes.
        migrations.RemoveIndex('backfilljob', 'backfill_job_notice'),
        migrations.RenameField('backfilljob', 'notice_due_at', 'webhook_due_at'),
        migrations.AddIndex('backfilljob', models.Index(fields=['webhook_due_at'], name='backfill_job_webhook_due')),
        migrations.RemoveIndex('storedresult', 'backfill_result_facts'),
        migrations.RenameField('storedresult', 'basis', 'input_digest'),
        migrations.AddIndex(
            'storedresult',
            models.Index(
                fields=['date', 'district', 'input_digest', 'source_hash', 'schema_version', 'job_id'],
                name='backfill_result_facts',
            ),
        ),
    ]
