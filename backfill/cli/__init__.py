"""The `manage.py backfill` commands."""
