"""Stored formats that all adapters use."""
