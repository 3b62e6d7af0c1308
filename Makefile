PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
PRODUCTION := DJANGO_DEBUG=false DJANGO_HTTPS=true DJANGO_ALLOWED_HOSTS=backfill.example.org \
	DJANGO_SECRET_KEY=a-text-of-more-than-fifty-characters-that-nobody-else-knows-0123456789 \
	BACKFILL_CONTACT=operator@example.org
RUNTIME := .venv/.runtime
DEV := .venv/.dev
VERSION_CHECK := import sys; sys.exit(sys.version_info < (3, 11))
# Use uv if it is installed, otherwise the pip of .venv.
INSTALL := $(if $(shell command -v uv),uv pip install --quiet --python $(BIN)/python,$\
	$(BIN)/python -m pip install --quiet --disable-pip-version-check)
TOX_WITH_UV := $(if $(shell command -v uv),--override "tool.tox.env_run_base.install_command=uv pip install --quiet $\
	--python {env_python} {opts} {packages}")
# Without bytecode, every process would compile the project, its tests and Django again.
unexport PYTHONDONTWRITEBYTECODE
LINTERS := lint-style lint-types lint-imports lint-templates lint-migrations lint-schema lint-production lint-docs

.PHONY: help python setup run docs test test-matrix coverage check check-tests lint $(LINTERS) chromium screenshots format bench chaos \
	acceptance-map requirements clean

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

python:
	@if [ -e .venv ] || [ -L .venv ]; then \
		$(BIN)/python -c '$(VERSION_CHECK)' 2>/dev/null || { \
			echo "The Python of .venv is missing or older than 3.11: $$($(BIN)/python --version 2>&1)." >&2; \
			echo "Remove .venv and try again; PYTHON=python3.12 selects another Python." >&2; \
			exit 1; }; \
	else \
		$(PYTHON) -c '$(VERSION_CHECK)' 2>/dev/null || { \
			echo "Python 3.11 or newer is required; $(PYTHON) is: $$($(PYTHON) --version 2>&1)." >&2; \
			echo "Select another: make setup PYTHON=python3.12 (a command or a path)." >&2; \
			exit 1; }; \
	fi

$(RUNTIME): requirements.txt | python
	@test -d .venv || $(if $(shell command -v uv),uv venv --quiet --seed --python "$$(command -v $(PYTHON))",$(PYTHON) -m venv) .venv
	$(INSTALL) -r requirements.txt
	@touch $@

$(DEV): requirements-dev.txt $(RUNTIME) | python
	$(INSTALL) -r requirements-dev.txt
	@touch $@

setup: $(DEV)  ## Create .venv from the pinned requirements (PYTHON=python3.12); uses uv if it is installed

run: $(RUNTIME)  ## Run a demonstration with the sample dashboard, then serve it (PORT=8000)
	@$(BIN)/python -m backfill_site.demo --port $(PORT)

docs: $(DEV)  ## Serve the documentation as a site, and rebuild it when a page changes (PORT=8000)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --dev-addr 127.0.0.1:$(PORT)

lint: $(LINTERS)  ## Check style, types, import contracts, templates, migrations, API schema, production settings, documentation

lint-style: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint-types: $(DEV)
	$(BIN)/mypy

lint-imports: $(DEV)
	$(BIN)/lint-imports

lint-templates: $(DEV)
	$(BIN)/djlint templates --check --lint --quiet

lint-migrations: $(DEV)
	DJANGO_DEBUG=true $(BIN)/python manage.py makemigrations --check --dry-run

lint-schema: $(DEV)
	DJANGO_DEBUG=true $(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null

lint-production: $(DEV)
	$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING

lint-docs: $(DEV)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict  # with --quiet, warnings would not fail it

check: $(DEV)  ## Check style, types, import contracts, unit tests and SQLite storage tests (about a minute)
	@began=$$(date +%s); $(MAKE) --no-print-directory -j2 --output-sync=target check-tests lint-types lint-imports lint-style \
		&& echo "Checked in $$(($$(date +%s) - began)) s."

check-tests: $(DEV)
	$(BIN)/pytest -q -n 2 -p no:schemathesis tests/unit tests/contract -k "unit or not (postgresql or firestore)" -m "not alone"

chromium:  ## Install the browser, nginx and PgBouncer for the tests (on Debian, as root)
	@{ { command -v chromium-headless-shell || command -v chromium; } && PATH="$$PATH:/usr/sbin" command -v nginx \
			&& PATH="$$PATH:/usr/sbin" command -v pgbouncer; } >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
			&& DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes chromium-headless-shell nginx-light pgbouncer >/dev/null; } \
		|| echo "Chromium, nginx or PgBouncer is missing, so its tests are skipped." \
			"On Debian: apt-get install chromium-headless-shell nginx-light pgbouncer"

screenshots: $(DEV) chromium  ## Update the pictures of the documentation from the sample world
	$(BIN)/python -m tests.screenshots

test: $(DEV) chromium  ## Run all checks and all tests; print the ten slowest tests and the total time
	@$(MAKE) --no-print-directory -j2 --output-sync=target lint
	$(BIN)/python -m tests.run

test-matrix: $(DEV)  ## Run the unit and integration tests with each supported Python and Django (ON=py313-django61)
	$(BIN)/tox run $(TOX_WITH_UV) $(if $(ON),-e $(ON)) $(if $(filter true,$(CI)),--skip-missing-interpreters=false)

coverage: $(DEV) chromium  ## Run all tests; report the branch coverage of those that run in one process
	$(BIN)/python -m tests.run --cov

format: $(DEV)  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djlint templates --reformat --quiet

bench: $(DEV)  ## Measure speed and memory, about 4 minutes (SECTION=resume CHECK=1 SCALE=0.1)
	$(BIN)/python -m benchmarks $(if $(SECTION),--section $(SECTION)) $(if $(CHECK),--check) $(if $(SCALE),--scale $(SCALE))

chaos: $(DEV)  ## Run a kill campaign and count losses (SEED=7 MINUTES=5 SITES=3 KILLS=300 ON=Firestore)
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(SITES),--sites $(SITES)) $(if $(KILLS),--kills $(KILLS)) $(if $(ON),--on $(ON))

acceptance-map: $(DEV)  ## List the tests of each acceptance criterion
	$(BIN)/python -m tests.acceptance_map

requirements:  ## Update the pinned requirements from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate pyproject.toml \
		--output-file requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate pyproject.toml --extra dev \
		--constraint requirements.txt --output-file requirements-dev.txt

clean:  ## Remove generated files; keep the data in var/backfill.sqlite3
	rm -rf .venv var/demo.sqlite3* staticfiles site .coverage htmlcov .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
