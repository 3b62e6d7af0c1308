"""That no acceptance criterion is without a test."""

from __future__ import annotations

import pytest

from tests.acceptance_map import main


def test_every_acceptance_criterion_is_shown_by_a_test(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0, capsys.readouterr().out[-400:]
