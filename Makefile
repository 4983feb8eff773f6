# Targets: run test test-long lint benchmark dist docs audit clean. Each first installs what it needs, on a bare Debian or Ubuntu too.
PROFILE ?= jetson-nano
MODEL ?= mobilenet_v2
RESULT ?= result.json
# Further options of `edgesim run`, such as --ready-timeout 900 on a very slow machine.
OPTIONS ?=
PYTEST ?=
# Three processes, whatever the number of cores: one for the tests that use the engine, see tests/README.md.
SIDE_BY_SIDE = -n 3
# If set, a skipped Docker test is a failure; CI sets it.
REQUIRE_DOCKER ?=

.PHONY: run test test-long lint benchmark dist docs audit clean

run:
	@rm -f .stages
	@scripts/stage engine sh -c 'scripts/engine install && scripts/engine start'
	@scripts/stage environment $(MAKE) --no-print-directory .venv
	@scripts/stage models .venv/bin/edgesim models build --models models
	@scripts/engine exec env EDGESIM_STAGES="$$(cat .stages)" .venv/bin/edgesim run $(PROFILE) $(MODEL) -o $(RESULT) $(OPTIONS)

test: .venv/.dev
	@scripts/engine install && scripts/engine start || echo "make: no Docker Engine: tests that need one are skipped"
	@scripts/browser || echo "make: no browser: tests that need one are skipped"
	@scripts/engine exec .venv/bin/pytest $(SIDE_BY_SIDE) $(if $(REQUIRE_DOCKER),--require-docker) $(PYTEST)

# Fuzzing, and the tests that need a container registry. On a quiet host the 10,000 files for each of 17 readers and the
# server's endpoint take 20 minutes each; all of it is over an hour.
test-long: .venv/.dev
	@scripts/engine install && scripts/engine start
	@scripts/counting-emulator build
	@scripts/engine exec .venv/bin/pytest -m long -s --require-docker $(PYTEST)
	@scripts/engine exec env EDGESIM_REQUIRE_COUNTING=1 .venv/bin/pytest --require-docker tests/integration/test_count.py

lint: .venv/.dev
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

# Prints the tables, and writes them into the documents that have a place for them.
benchmark: .venv/.dev
	@scripts/engine install && scripts/engine start
	@scripts/browser
	@scripts/engine exec .venv/bin/python -m benchmarks.record stages start watch overhead bodies batching client ruler devices faults fidelity releases count_releases counting_cost scaled files stacks page sweep

# The wheel and the source archive, built twice and checked.
dist:
	scripts/distribution dist

# Known vulnerabilities of what is installed; needs a network. Strict: a package that cannot be audited is a failure.
audit: .venv/bin/edgesim
	[ -x .venv-release/bin/pip-audit ] || scripts/distribution dist
	.venv/bin/pip freeze --exclude-editable | .venv-release/bin/pip-audit --strict --disable-pip --no-deps -r /dev/stdin

# The documentation as a site, and a manual page for each command: build/docs. Strict: a warning is an error.
docs: .venv/.docs
	.venv/bin/python -m docsite build/docs

.venv: .venv/bin/edgesim

.venv/bin/edgesim: pyproject.toml
	@scripts/environment .venv .
	@touch $@

.venv/.dev: pyproject.toml
	@scripts/environment .venv '.[dev]'
	@touch .venv/bin/edgesim $@

.venv/.docs: pyproject.toml .venv/bin/edgesim
	.venv/bin/pip install --quiet --upgrade 'pip>=25.1'
	.venv/bin/pip install --quiet --group docs
	@touch $@

clean:
	rm -rf .venv .venv-release .stages $(RESULT) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find models -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
