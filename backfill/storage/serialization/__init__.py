"""Stored forms that the adapters share."""
