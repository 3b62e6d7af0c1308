"""All politeness in one object: when the next request may start, and why it may not yet."""

from backfill.rate_limit.limiter import Limiter
from backfill.rate_limit.shared_schedule import ScheduleUpdate

__all__ = ["Limiter", "ScheduleUpdate"]
