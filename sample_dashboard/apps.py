"""The simulated dashboard for demos and tests, as a Django app of its own."""

from django.apps import AppConfig


class SampleDashboardConfig(AppConfig):
    name = "sample_dashboard"
    verbose_name = "Sample dashboard"
