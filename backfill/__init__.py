"""Collects the history of the Toastmasters dashboards in jobs that survive anything."""

__version__ = "0.1.0"
