# The two commands: `make demo` (the service with its embedded sandbox EHR) and `make test`. `make help` lists all.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 8000
WORKERS ?= 2
PYTEST_ARGS ?=
CONFORMANCE_ARGS ?=
N ?= 1000
SEED ?= 0
FUZZ_ARGS ?=
LOAD_ARGS ?=

MVN := mvn -q -B
COPY := $(MVN) org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy
COPY_ALL := $(MVN) org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies
JETTY := org.eclipse.jetty:jetty-runner:9.4.56.v20240826
HAPI := org.opencds.cqf:cqf-ruler-r4:0.4.0:war
TRANSLATOR_POM := tests/support/translator/pom.xml

.DEFAULT_GOAL := help
.PHONY: help demo serve test check format bench load conformance checklist fuzz fuzz-http measures translator hapi \
  reference tools clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.installed ## run the service with its sandbox EHR and patients on http://127.0.0.1:8000/
	@$(BIN)/cds-service demo --port $(PORT)

serve: $(VENV)/.installed ## run the service as cds-service.toml says
	@$(BIN)/cds-service serve --host $(HOST) --port $(PORT)

test: $(VENV)/.installed-test ## run every test; what needs Java or Chromium skips where they are absent
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: $(VENV)/.installed-test ## lint, format, types, import layers, docker files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/Dockerfile

format: $(VENV)/.installed-test ## bring the code into its format
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(VENV)/.installed-test ## print the benchmarks of tests/benchmarks
	@$(BIN)/python -m tests.benchmarks.report

load: $(VENV)/.installed-test ## offer the service more calls than it can answer, and print what it does (LOAD_ARGS)
	@$(BIN)/python -m tests.benchmarks.load $(LOAD_ARGS)

conformance: $(VENV)/.installed-test ## run HL7's CQL tests (CQL_TESTS names their folder; needs `make translator`)
	@$(BIN)/python -m tests.engine.conformance $(CONFORMANCE_ARGS)

checklist: $(VENV)/.installed-test ## write the CDS Hooks part of docs/conformance.md from the tests' markers
	@$(BIN)/python -m tests.conformance --into

measures: $(VENV)/.installed-test ## compare published measures (MEASURES=<folder>) with the reference, define by define
	@$(BIN)/python -m tests.measures $(MEASURES)

fuzz: $(VENV)/.installed-test ## compare N random patients and N expressions with the reference engine (N=1000, SEED=0)
	@$(BIN)/python -m tests.reference.fuzz --patients $(N) --expressions $(N) --seed $(SEED) $(FUZZ_ARGS)

fuzz-http: $(VENV)/.installed-test ## send N times as many random requests as the tests do, other ones each time (N=10)
	FUZZ_HTTP=$(if $(filter command,$(origin N)),$(N),10) \
	  $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --timeout 0 $(PYTEST_ARGS) tests/fuzz

tools: translator hapi reference ## fetch what the integration tests need: translator, HAPI (Java 17, Maven), reference engine (Node)

translator: .tools/translator/.fetched ## fetch the CQL translator

hapi: .tools/hapi/.fetched ## fetch the HAPI FHIR server

reference: .tools/reference/.fetched ## fetch the reference CQL engine, cql-execution (Node, npm)

.tools/translator/.fetched: $(TRANSLATOR_POM)
	@rm -rf $(@D) && mkdir -p $(@D)
	$(COPY_ALL) -f $(TRANSLATOR_POM) -DoutputDirectory=$(CURDIR)/$(@D)
	@touch $@

.tools/hapi/.fetched:
	@mkdir -p $(@D)
	$(COPY) -Dartifact=$(JETTY) -DoutputDirectory=$(CURDIR)/$(@D) -Dmdep.stripVersion=true
	$(COPY) -Dartifact=$(HAPI) -DoutputDirectory=$(CURDIR)/$(@D) -Dmdep.stripVersion=true
	@touch $@

.tools/reference/.fetched: tests/reference/package.json tests/reference/package-lock.json
	@rm -rf $(@D) && mkdir -p $(@D)
	@cp $^ $(@D)
	npm ci --prefix $(@D) --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python3.11 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "Python's venv module is needed (Debian: apt-get install python3-venv)."; exit 1; }
	@touch $@

# A stamp for each installed set: a second `make` installs nothing.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "Installing the service into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[lung]'
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	@echo "Installing the service and its test tools into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,lung]'
	@touch $(VENV)/.installed $@

clean: ## remove the virtual environment, fetched tools and caches
	rm -rf $(VENV) .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
