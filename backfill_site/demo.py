"""The demonstration of `make run`.

Creates `var/demo.sqlite3`, starts the sample dashboard, collects the live program year and the two years before it,
computes their analytics, declares that this history is kept complete, and serves the result. It uses neither the real
dashboard nor the configured database.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OPERATOR = "operator"


def manage(*arguments: str) -> int:
    """Run a command of manage.py and return its exit code."""
    return subprocess.call([sys.executable, "manage.py", *arguments], cwd=ROOT)  # noqa: S603 - our own command


def check_port(port: int) -> None:
    """Exit with a message if the server could not listen on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gunicorn does
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as exc:
            raise SystemExit(f"Port {port} is in use or invalid. Choose another: make run PORT=8001") from exc


def isolate_environment() -> None:
    """Replace all settings, which may name a real store or webhook receiver, and ignore `.env`."""
    for name in [name for name in os.environ if name.startswith(("DJANGO_", "BACKFILL_", "SCRIPT_NAME"))]:
        del os.environ[name]
    os.environ.update(
        DJANGO_SETTINGS_MODULE="backfill_site.settings",
        DJANGO_DEBUG="true",
        DATABASE_URL="sqlite:///var/demo.sqlite3",
        BACKFILL_ENV_FILE=os.devnull,
    )


def collected_range(today: date) -> tuple[date, date]:
    """Return the range from the start of the program year before last to yesterday."""
    return date((today.year if today.month >= 7 else today.year - 1) - 2, 7, 1), today - timedelta(days=1)


def sample_dashboard() -> tuple[subprocess.Popen[str], str]:
    """Start the sample dashboard; return its process and address."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "sample_dashboard", "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise SystemExit("The sample dashboard did not start; see its message above.")
    return process, line.split()[-1]


def prepare_operator() -> str:
    """Create a superuser, unless it exists, and return a new API token; earlier tokens are deleted."""
    import django

    django.setup()
    from django.contrib.auth import get_user_model

    from accounts.models import ApiToken

    users = get_user_model().objects
    operator = users.filter(username=OPERATOR).first() or users.create_superuser(OPERATOR, password=OPERATOR)
    ApiToken.objects.filter(user=operator).delete()
    _, key = ApiToken.objects.issue(operator, name="make run")
    return key


def keep_complete(first: date) -> str:
    """Enable a coverage target of the collected history; return what it says. Django must be set up."""
    from backfill.bootstrap import backfill_service
    from backfill.domain import Actor, Cadence, Channel, CoverageRule, TargetSettings

    rule = CoverageRule(start=first, cadence=Cadence.MONTH_ENDS, analytics=True)
    settings = TargetSettings(enabled=True, note="The sample world of make run", rules=(rule,))
    backfill_service().targets.replace(settings, by=Actor(OPERATOR, Channel.CLI), expected_version=None)
    return (
        f"The month-ends since {first} are kept complete: the server checks daily at {settings.daily_at:%H:%M} UTC "
        "what is missing, and collects it."
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="port of the server (default: 8000)")
    port = parser.parse_args().port
    check_port(port)
    isolate_environment()
    dashboard, os.environ["BACKFILL_DASHBOARD_URL"] = sample_dashboard()
    try:
        if manage("migrate", "--verbosity", "0"):
            return 1
        token = prepare_operator()
        first, last = collected_range(datetime.now(UTC).date())
        print(
            "Collecting three program years of fictitious data from the sample dashboard.",
            flush=True,
        )
        manage("backfill", "rate-limit", "--max-requests-per-minute", "1200", "--min-delay-ms", "0")
        manage(
            "backfill",
            "start",
            "--from",
            f"{first}",
            "--to",
            f"{last}",
            "--cadence",
            "month-ends",
            "--operator",
            OPERATOR,
            "--wait",
        )
        print("\nComputing the analytics of the collected snapshots.", flush=True)
        manage("backfill", "start", "--type", "analytics-generation", "--operator", OPERATOR, "--wait")
        manage("backfill", "coverage")
        print(f"\n{keep_complete(first)}", flush=True)
        result = f"/api/analytics/{first.year + 2}-06-30/world"
        address = f"http://127.0.0.1:{port}"
        print(
            f"\nServing at {address}\n"
            f"  Admin:     {address}/admin/  (sign in as {OPERATOR}, password {OPERATOR})\n"
            f"  API page:  {address}/api/docs\n"
            f"  API:       curl -H 'Authorization: Token {token}' {address}/api/admin/backfill/jobs\n"
            f"             curl -H 'Authorization: Token {token}' {address}{result}\n"
            "Stop with Ctrl-C.\n",
            flush=True,
        )
        return subprocess.call(  # noqa: S603 - our own server
            [sys.executable, "-m", "gunicorn", "backfill_site.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "8"],
            cwd=ROOT,
        )
    except KeyboardInterrupt:
        return 0
    finally:
        dashboard.terminate()
        dashboard.wait()


if __name__ == "__main__":
    sys.exit(main())
