"""A Django app for the management command `sample_dashboard`; it is not part of the service."""

from django.apps import AppConfig


class SampleDashboardConfig(AppConfig):
    name = "sample_dashboard"
    verbose_name = "Sample dashboard"
