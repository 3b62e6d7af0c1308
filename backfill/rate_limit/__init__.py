"""When a request may start, whether the dashboard is down, and whether an item is tried again."""

from backfill.rate_limit.limiter import Limiter
from backfill.rate_limit.retry_policy import ATTEMPTS
from backfill.rate_limit.shared_schedule import ScheduleUpdate

__all__ = ["ATTEMPTS", "Limiter", "ScheduleUpdate"]
