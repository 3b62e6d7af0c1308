"""Moves the tokens of DRF, which are stored as plain keys, to their digests. They go on working."""

import hashlib

from django.db import migrations


def hash_tokens(apps, schema_editor):
    plain = apps.get_model("authtoken", "Token").objects.using(schema_editor.connection.alias)
    hashed = apps.get_model("accounts", "ApiToken").objects.using(schema_editor.connection.alias)
    for token in plain.all():
        digest = hashlib.sha256(token.key.encode()).hexdigest()
        hashed.get_or_create(digest=digest, defaults={"user_id": token.user_id, "created_at": token.created})
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute("PRAGMA secure_delete = ON")  # otherwise the keys would remain in the file
    plain.all().delete()


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial"), ("authtoken", "0004_alter_tokenproxy_options")]

    operations = [migrations.RunPython(hash_tokens, migrations.RunPython.noop, elidable=False)]
