"""`manage.py sample_dashboard`: serves the sample world until SIGINT or SIGTERM."""

from __future__ import annotations

import errno
import signal
from argparse import ArgumentTypeError
from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sample_dashboard.server import SampleServer
from sample_dashboard.world import SampleWorld

_STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}


class Command(BaseCommand):
    help = "Serve the sample dashboard: fictitious data in the protocol of the real dashboard."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, required=True, help="0 selects a free port; the address is printed")
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument("--districts", type=int, default=8, help="number of districts (default: %(default)s)")
        parser.add_argument(
            "--clubs", type=int, default=40, help="clubs of a district, plus or minus 20 %% (default: 40)"
        )
        parser.add_argument("--seed", default="sample", help="text that selects the figures (default: %(default)s)")
        parser.add_argument(
            "--unknown-id",
            choices=["error", "other"],
            default="error",
            help="response to a calendar page of an unknown district: the error page (default) or another district",
        )
        parser.add_argument("--today", type=_day, help="YYYY-MM-DD; default: today (UTC)")
        parser.add_argument("--latency-ms", type=int, default=0, help="delay of each response (default: %(default)s)")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            world = SampleWorld(
                today=options["today"] or datetime.now(UTC).date(),
                seed=options["seed"],
                districts=options["districts"],
                clubs=options["clubs"],
                unknown_id=options["unknown_id"],
            )
        except ValueError as exc:
            raise CommandError(str(exc)) from exc
        latency_ms = options["latency_ms"]
        if latency_ms < 0:
            raise CommandError("--latency-ms must be 0 or more.")
        server = self._server(world, options["host"], options["port"], latency_ms / 1000)
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)  # before the server starts threads, which inherit it
        with server:
            self.stdout.write(f"Sample dashboard on {server.url}")
            self.stdout.flush()
            signal.sigwait(_STOP_SIGNALS)

    @staticmethod
    def _server(world: SampleWorld, host: str, port: int, latency: float) -> SampleServer:
        try:
            return SampleServer(world, port, latency, host)
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                message = f"Port {port} on {host} is in use. Choose another --port, or 0 for a free port."
                raise CommandError(message) from exc
            raise CommandError(f"Cannot listen on {host}, port {port}: {exc.strerror}.") from exc
        except OverflowError as exc:
            raise CommandError(f"{port} is not a port number from 0 to 65535.") from exc


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise ArgumentTypeError("must be a date like YYYY-MM-DD.") from exc
