"""Campaigns that kill real processes of the service, and an independent checker of the stored data.

`make chaos SEED=7 MINUTES=5` runs it.
"""
