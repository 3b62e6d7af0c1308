import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ('backfill', '0001_initial'),
        ('backfill', '0002_results'),
        ('backfill', '0003_audit_and_workers'),
        ('backfill', '0004_totals_and_notices'),
        ('backfill', '0005_pace'),
        ('backfill', '0006_flight'),
        ('backfill', '0007_held_at'),
    ]

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='RateLimitConfig',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('max_requests_per_minute', models.PositiveIntegerField()),
                ('max_concurrent', models.PositiveIntegerField()),
                ('min_delay_ms', models.PositiveIntegerField()),
                ('max_delay_ms', models.PositiveIntegerField()),
                ('backoff_multiplier', models.FloatField()),
                ('updated_at', models.DateTimeField(null=True)),
                ('updated_by', models.CharField(blank=True, max_length=150)),
            ],
            options={
                'verbose_name': 'rate limits',
                'verbose_name_plural': 'rate limits',
            },
        ),
        migrations.CreateModel(
            name='ServiceTotals',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('value', models.JSONField()),
            ],
        ),
        migrations.CreateModel(
            name='SourceTimeline',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reserved_until', models.DateTimeField(null=True)),
                ('held_until', models.DateTimeField(null=True)),
                ('held_at', models.DateTimeField(null=True)),
                ('hold_reason', models.TextField(blank=True)),
                ('slowed_to', models.FloatField(default=1)),
                ('slowed_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='StoredCalendarMonth',
            fields=[
                ('month_end', models.DateField(primary_key=True, serialize=False)),
                ('districts', models.JSONField()),
                ('as_of_days', models.JSONField()),
                ('is_archived', models.BooleanField()),
                ('is_closed', models.BooleanField()),
                ('has_blank_close', models.BooleanField()),
                ('fetched_at', models.DateTimeField()),
            ],
            options={
                'verbose_name': 'calendar month',
            },
        ),
        migrations.CreateModel(
            name='WorkerSighting',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='AuditRecord',
            fields=[
                ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
                ('operator', models.CharField(max_length=150)),
                ('door', models.CharField(max_length=16)),
                ('deed', models.CharField(max_length=32)),
                ('job_id', models.UUIDField(null=True)),
                ('changes', models.JSONField()),
            ],
            options={
                'verbose_name': 'audit entry',
                'verbose_name_plural': 'audit entries',
                'indexes': [models.Index(fields=['-at', '-id'], name='backfill_audit_newest'), models.Index(fields=['job_id', '-at', '-id'], name='backfill_audit_job')],
            },
        ),
        migrations.CreateModel(
            name='BackfillJob',
            fields=[
                ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('job_type', models.CharField(max_length=32)),
                ('status', models.CharField(max_length=16)),
                ('slot', models.PositiveSmallIntegerField(default=1, editable=False)),
                ('config', models.JSONField()),
                ('created_at', models.DateTimeField()),
                ('created_by', models.CharField(max_length=150)),
                ('started_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('cancelled_at', models.DateTimeField(null=True)),
                ('resumed_at', models.DateTimeField(null=True)),
                ('resume_count', models.PositiveIntegerField(default=0)),
                ('takeovers', models.PositiveIntegerField(default=0)),
                ('takeover_seconds', models.FloatField(default=0)),
                ('retry_of', models.UUIDField(null=True)),
                ('notices', models.JSONField(default=dict)),
                ('notice_due_at', models.DateTimeField(null=True)),
                ('lease_owner', models.CharField(blank=True, max_length=100)),
                ('lease_expires_at', models.DateTimeField(null=True)),
                ('token', models.PositiveBigIntegerField(default=0)),
                ('progressed_at', models.DateTimeField()),
                ('progress', models.JSONField()),
                ('detail', models.JSONField()),
                ('flight', models.JSONField(default=dict)),
                ('error', models.TextField(blank=True)),
                ('segments', models.PositiveIntegerField(default=0)),
                ('idempotency_key', models.CharField(blank=True, max_length=64)),
                ('idempotency_fingerprint', models.CharField(blank=True, max_length=64)),
                ('revision', models.PositiveBigIntegerField(default=0)),
                ('plan', models.BinaryField()),
            ],
            options={
                'verbose_name': 'backfill job',
                'indexes': [models.Index(fields=['-created_at', '-id'], name='backfill_job_newest'), models.Index(condition=models.Q(('idempotency_key', ''), _negated=True), fields=['idempotency_key'], name='backfill_job_key'), models.Index(fields=['notice_due_at'], name='backfill_job_notice')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('status__in', ['pending', 'running', 'pausing', 'paused', 'cancelling'])), fields=('slot',), name='backfill_one_active_job')],
            },
        ),
        migrations.CreateModel(
            name='StoredResult',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('date', models.DateField()),
                ('district', models.CharField(max_length=8)),
                ('program_year', models.PositiveSmallIntegerField()),
                ('source_hash', models.CharField(max_length=64)),
                ('schema_version', models.PositiveIntegerField()),
                ('basis', models.CharField(max_length=64)),
                ('job_id', models.UUIDField()),
                ('computed_at', models.DateTimeField()),
                ('quality', models.JSONField()),
                ('point', models.JSONField(null=True)),
                ('body', models.BinaryField()),
            ],
            options={
                'verbose_name': 'result',
                'indexes': [models.Index(fields=['date', 'district', 'basis', 'source_hash', 'schema_version', 'job_id'], name='backfill_result_facts'), models.Index(fields=['district', 'program_year', 'date'], name='backfill_result_series')],
                'constraints': [models.UniqueConstraint(fields=('date', 'district'), name='backfill_result_once')],
            },
        ),
        migrations.CreateModel(
            name='StoredSnapshot',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('date', models.DateField()),
                ('district', models.CharField(max_length=8)),
                ('data_month', models.DateField()),
                ('as_of', models.DateField()),
                ('is_final', models.BooleanField()),
                ('content_hash', models.CharField(max_length=64)),
                ('fetched_at', models.DateTimeField()),
                ('job_id', models.UUIDField()),
                ('reports', models.JSONField()),
                ('content', models.BinaryField()),
            ],
            options={
                'verbose_name': 'snapshot',
                'indexes': [models.Index(fields=['date', 'as_of', 'is_final', 'job_id', 'district'], name='backfill_snapshot_keys'), models.Index(fields=['date', 'district', 'data_month', 'as_of', 'is_final', 'content_hash'], name='backfill_snapshot_facts'), models.Index(fields=['district', 'date'], name='backfill_snapshot_district')],
                'constraints': [models.UniqueConstraint(fields=('date', 'district'), name='backfill_snapshot_once')],
            },
        ),
        migrations.CreateModel(
            name='Checkpoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('processed', models.PositiveIntegerField()),
                ('failed', models.PositiveIntegerField()),
                ('skipped', models.PositiveIntegerField()),
                ('outcomes', models.BinaryField()),
                ('job', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='checkpoints', to='backfill.backfilljob')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('job', 'number'), name='backfill_segment_once')],
            },
        ),
    ]
