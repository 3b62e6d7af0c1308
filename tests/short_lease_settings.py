"""The project's settings with a short lease, for tests that only wait until a job is taken over.

Every process of such a test uses this module as its DJANGO_SETTINGS_MODULE. At least two acceptance tests per store use
the real lease.
"""

from datetime import timedelta

from backfill.domain import LeasePolicy
from backfill_site.settings import *  # noqa: F403

BACKFILL_LEASE_POLICY = LeasePolicy(
    duration=timedelta(seconds=3),
    renew_after=timedelta(seconds=1),
    poll_interval=timedelta(seconds=0.5),
    careful_for=timedelta(seconds=3),
)
