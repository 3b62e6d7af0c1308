"""`manage.py sample_dashboard`: the sample world on a port, until it is asked to stop."""

from __future__ import annotations

import errno
from argparse import ArgumentTypeError
from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backfill.cli.stop_signals import StopSignals
from sample_dashboard import SampleServer, SampleWorld


class Command(BaseCommand):
    help = "Serve the sample dashboard: an imaginary world that speaks the real dashboard's protocol."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, required=True, help="0 takes a free one; the address is printed")
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--districts", type=int, default=8)
        parser.add_argument("--clubs", type=int, default=40, help="clubs of a district, give or take a fifth")
        parser.add_argument("--seed", default="sample", help="another seed is another world")
        parser.add_argument(
            "--unknown-id",
            choices=["error", "other"],
            default="error",
            help="what a calendar page shows for a district that its year does not have",
        )
        parser.add_argument("--today", type=_day, help="YYYY-MM-DD; the day on which the world stands (today, UTC)")
        parser.add_argument("--latency-ms", type=int, default=0, help="how long every answer takes")

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
            raise CommandError("--latency-ms is a number of milliseconds, 0 or more.")
        server = self._server(world, options["host"], options["port"], latency_ms / 1000)
        with StopSignals() as stop, server:
            self.stdout.write(f"Sample dashboard on {server.url}")
            self.stdout.flush()
            stop.wait()

    @staticmethod
    def _server(world: SampleWorld, host: str, port: int, latency: float) -> SampleServer:
        try:
            return SampleServer(world, port, latency, host)
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                message = f"Port {port} on {host} is taken. Choose another --port, or 0 for a free one."
                raise CommandError(message) from exc
            raise CommandError(f"Cannot listen on {host}, port {port}: {exc.strerror}.") from exc
        except OverflowError as exc:
            raise CommandError(f"{port} is no port; it is a number from 0 to 65535.") from exc


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise ArgumentTypeError("write the day as YYYY-MM-DD.") from exc
