"""A server of the thirty nights: `gunicorn tests.acceptance.night_server:application`.

Its clock is that of `tests.chaos.clock`. Its keeper looks for a due check several times a second, because a night lasts
a few seconds.
"""

from __future__ import annotations

from backfill import bootstrap
from tests.chaos import clock

vars(bootstrap).update(SHORTEST_POLL=0.3, _KEEPER_POLLS=0)

application = clock.application
