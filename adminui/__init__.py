"""The Backfill section of the Django admin."""
