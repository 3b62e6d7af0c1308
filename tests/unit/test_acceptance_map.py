"""The map of acceptance criteria and tests."""

from __future__ import annotations

import pytest

from tests.acceptance_map import main


def test_every_acceptance_criterion_has_a_test(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0, capsys.readouterr().out[-400:]
