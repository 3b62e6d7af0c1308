"""All politeness in one object: when the next request may start, and why it may not yet."""

from backfill.rate_limit.limiter import Limiter
from backfill.rate_limit.shared import TimelineChange

__all__ = ["Limiter", "TimelineChange"]
