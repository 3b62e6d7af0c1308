"""The messages of the Makefile for an unsupported Python, the test matrix, and the targets of the pre-commit hooks."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed.")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the files that `make setup` reads, and an old Python."""
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("target", ["setup", "run", "check"])
def test_an_unsupported_python_is_named_and_no_environment_is_created(clone: Path, target: str) -> None:
    process = make(clone, target, f"PYTHON={clone / 'old-python'}")
    assert process.returncode
    assert "Python 3.11 or newer is required" in process.stderr
    assert "Python 3.9.2" in process.stderr
    assert not (clone / ".venv").exists()


def test_an_existing_environment_with_an_unsupported_python_is_reported(clone: Path) -> None:
    (clone / ".venv/bin").mkdir(parents=True)
    (clone / "old-python").rename(clone / ".venv/bin/python")
    for stamp in (".runtime", ".dev"):
        (clone / ".venv" / stamp).touch()
    process = make(clone, "run")
    assert process.returncode
    assert "older than 3.11: Python 3.9.2" in process.stderr
    assert "Remove .venv" in process.stderr


@pytest.mark.parametrize("link", [".venv", ".venv/bin/python"])
def test_an_environment_with_a_missing_python_is_reported(clone: Path, link: str) -> None:
    (clone / link).parent.mkdir(parents=True, exist_ok=True)
    (clone / link).symlink_to(clone / "nowhere")
    process = make(clone, "setup")
    assert process.returncode
    assert "The Python of .venv is missing" in process.stderr


def test_the_pre_commit_hooks_run_each_lint_target() -> None:
    targets = re.search(r"^LINTERS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    hooks = re.findall(r"entry: make (\S+),", (ROOT / ".pre-commit-config.yaml").read_text())
    assert hooks == targets[1].split()


def test_the_matrix_tests_each_python_and_django_that_the_classifiers_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    classifiers = "\n".join(project["project"]["classifiers"])
    pythons = {f"py{version.replace('.', '')}" for version in re.findall(r"Python :: (3\.\d+)", classifiers)}
    djangos = {f"django{version.replace('.', '')}" for version in re.findall(r"Django :: ([\d.]+)", classifiers)}
    environments = [name.split("-") for name in project["tool"]["tox"]["env_list"]]
    assert {python for python, _ in environments} == pythons
    assert {django for _, django in environments} == djangos
