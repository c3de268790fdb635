# Each target does its own set-up: on a fresh machine `make demo` and `make test` work as they stand.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The distribution's python is what packages are built with; anything from 3.11 on will do.
PYTHON ?= $(shell for p in /usr/bin/python3 python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && { command -v $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
# What dpkg wants to build ours with, here and for the other machine; what rpm's is built with.
DEB_NEEDS := build-essential debhelper dh-apparmor dh-python python3-click
CROSS_NEEDS := gcc-aarch64-linux-gnu libc6-dev-arm64-cross
RPM_NEEDS := rpmbuild:rpm
RUST_SOURCES := $(shell find src/engine src/engine-py src/knowledge -name '*.rs' -o -name '*.toml' -o -name '*.tsv') src/Cargo.toml src/Cargo.lock

.PHONY: help
help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 20

.PHONY: tools
tools:
	@tools/need-tools "$(PYTHON)"

$(VENV)/.dev: pyproject.toml | tools
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python tools/dev-requirements.py pyproject.toml > $(VENV)/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r $(VENV)/requirements.txt
	touch $@

$(VENV)/.built: $(VENV)/.dev $(RUST_SOURCES)
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --release --locked --quiet
	touch $@

# What links for a chosen glibc, and looks at what was linked; 100 MB that only packages need.
$(VENV)/.package-tools: $(VENV)/.dev
	$(BIN)/python tools/dev-requirements.py pyproject.toml packages > $(VENV)/package-requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r $(VENV)/package-requirements.txt
	touch $@

# What draws the plots of docs/performance.md; a test draws them again.
$(VENV)/.bench-tools: $(VENV)/.dev
	$(BIN)/python tools/dev-requirements.py pyproject.toml bench > $(VENV)/bench-requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r $(VENV)/bench-requirements.txt
	touch $@

.PHONY: dev
dev: $(VENV)/.built ## build the engine into .venv

.PHONY: wheel
wheel: $(VENV)/.package-tools ## for this kind of machine and every Linux with glibc 2.28 (or GLIBC=2_17), in dist/
	rm -rf dist
	VIRTUAL_ENV=$(abspath $(VENV)) packaging/wheel/build

.PHONY: sdist
sdist: $(VENV)/.dev ## the source distribution for PyPI, in dist/
	mkdir -p build
	SOURCE_DATE_EPOCH=$$(tools/release-date) $(BIN)/maturin sdist --out dist >build/sdist.log 2>&1 || { cat build/sdist.log >&2; exit 1; }

.PHONY: wheels
wheels: wheel sdist ## all that a release has on PyPI: x86_64, aarch64, and the source
	for arch in x86_64 aarch64; do [ "$$arch" = "$$(uname -m)" ] || VIRTUAL_ENV=$(abspath $(VENV)) packaging/wheel/build $$arch; done

.PHONY: deb
deb: | tools ## the package for Debian and its relatives, in build/deb (ARCH=arm64 for that machine)
	@tools/from-debian "the package cannot be built" $(DEB_NEEDS) $(if $(filter arm64,$(ARCH)),$(CROSS_NEEDS))
	packaging/deb/build $(ARCH)

.PHONY: rpm
rpm: $(VENV)/.package-tools | tools ## the package for EL and its relatives, in build/rpm (ARCH=aarch64 for that machine)
	@tools/from-debian "the package cannot be built" $(RPM_NEEDS)
	VIRTUAL_ENV=$(abspath $(VENV)) packaging/rpm/build $(ARCH)

.PHONY: install
install: ## the plugin on this host (as root, after `make wheel`); auditd is not restarted
	tools/install dist/*_$$(uname -m).whl

.PHONY: lint
lint: dev $(VENV)/.bench-tools ## every static check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	MYPYPATH=src $(BIN)/stubtest audisp_pyaudit._engine
	$(BIN)/python src/knowledge/document.py --check
	$(BIN)/python src/knowledge/index_template.py --check
	$(BIN)/python man/build.py --check
	tools/crate-licences --check
	cd src && cargo fmt --check
	cd src && cargo clippy --locked --all-targets --features pyaudit-engine/stages -- -D warnings
	cd bench/stages && cargo fmt --check && cargo clippy --locked --all-targets -- -D warnings

.PHONY: test-tools
test-tools: $(VENV)/.dev $(VENV)/.bench-tools # libauparse is what our reading is compared with, with users of our own: libraries, nothing is started
	@# Debian's own libraries of Python are what a deb depends on.
	@tools/from-debian "tests that need it will be skipped" libauparse0 libnss-wrapper java:default-jre-headless mvn:maven \
		openssl:openssl mandoc:mandoc groff:groff-base apparmor_parser:apparmor \
		python3-confluent-kafka python3-msgpack python3-prometheus-client python3-structlog
	@[ -n "$${KAFKA_BOOTSTRAP-}" ] || [ -d $(VENV)/kafka ] || ! command -v mvn >/dev/null || \
		mvn -q -B -f tests/kafka/pom.xml dependency:copy-dependencies -DincludeScope=runtime \
			-DoutputDirectory=$(abspath $(VENV))/kafka
	@# Whom the bench compares us with, unpacked, not installed.
	@[ -d bench/out/.peers/sid ] || $(BIN)/python -m bench.fetch_peers >/dev/null || \
		{ [ -z "$${CI-}" ] && echo "not all peers could be fetched: tests with them will be skipped"; }
	@# The auditds of three suites of Debian, unpacked, not installed.
	@$(BIN)/python -m tests.auditd.packages || \
		{ [ -z "$${CI-}" ] && echo "no auditd could be fetched: tests with a real one will be skipped"; }

.PHONY: test
test: dev test-tools ## everything that is tested; installs what the tests need
	cd src && cargo test --locked --quiet --features pyaudit-engine/stages
	cd bench/stages && cargo test --locked --quiet --lib
	$(BIN)/pytest

.PHONY: package-tools
package-tools: $(VENV)/.package-tools # what builds packages, looks through them, and makes clean systems to install it on
	@tools/from-debian "packages cannot be built, or not be tried" $(DEB_NEEDS) $(CROSS_NEEDS) $(RPM_NEEDS) \
		qemu-aarch64-static:qemu-user-static lintian:lintian debootstrap:debootstrap apparmor_parser:apparmor \
		qemu-system-x86_64:qemu-system-x86 cpio:cpio rpmlint:rpmlint \
		checkmodule:checkpolicy semodule_link:semodule-utils sesearch:setools selinux-policy-dev

.PHONY: test-packages
test-packages: dev package-tools ## the packages, on clean systems of each Debian (as root; some minutes)
	PACKAGES=1 $(BIN)/pytest tests/packaging

.PHONY: test-selinux
test-selinux: dev package-tools ## the RPM under an SELinux that enforces, in a virtual machine (as root; two minutes)
	PACKAGES=1 SELINUX=1 $(BIN)/pytest tests/packaging/test_selinux_enforced.py

.PHONY: test-wheel
test-wheel: wheels package-tools test-tools ## what is in the wheels, and the tests on one that is installed, with the sources out of sight
	WHEELS=1 $(BIN)/pytest tests/packaging/test_wheel_*.py
	tools/test-wheel dist/*_$$(uname -m).whl

.PHONY: sbom
sbom: ## what the packages are made of, as CycloneDX in dist/
	mkdir -p dist
	tools/sbom . packaging/rpm/bundled.txt > dist/audisp-pyaudit.cdx.json

.PHONY: drills
drills: dev test-tools ## every fault drill at full length: 10,000 records a second, an hour and a half
	DRILLS=whole $(BIN)/pytest tests/drills --timeout 3600

.PHONY: demo
demo: dev ## a real log through the plugin, seen at the other end
	@PATH=$(abspath $(BIN)):$$PATH tools/demo

.PHONY: bench-peers
bench-peers: dev
	-$(BIN)/python -m bench.fetch_peers

.PHONY: bench
bench: bench-peers ## cost per event beside laurel, auparse and others, in one run (an hour)
	$(BIN)/python -m bench.figure

.PHONY: bench-stages
bench-stages: dev ## what each stage of the engine costs, in bytes of the log a second
	mkdir -p bench/out && $(BIN)/python -m bench.corpus --size 40 bench/out/stages.log
	cd bench/stages && AUDIT_LOG=$(abspath bench/out/stages.log) cargo bench --locked

.PHONY: bench-all
bench-all: bench-peers test-tools ## everything that docs/performance.md shows, into bench/results, on a quiet machine (three hours)
	@# Each goes on where one before it failed; what failed is said in its file, and at the end.
	failed=; for each in floors figure delivery latency; do \
		$(BIN)/python -m bench.$$each --results bench/results/$$each.jsonl || failed="$$failed $$each"; done; \
	$(BIN)/python -m bench.growth --part rates --part sinks --part subscribers --part spool --results bench/results/growth.jsonl || failed="$$failed growth"; \
	$(BIN)/python -m bench.growth --part minutes --set exec-enriched --results bench/results/minutes.jsonl || failed="$$failed minutes"; \
	$(BIN)/python -m bench.plots || failed="$$failed plots"; \
	[ -z "$$failed" ] || { echo "with failures:$$failed" >&2; exit 1; }

.PHONY: bench-plots
bench-plots: dev $(VENV)/.bench-tools ## docs/performance.md and its plots, from bench/results
	$(BIN)/python -m bench.plots

.PHONY: valgrind
valgrind:
	@command -v valgrind >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends valgrind libc6-dbg >/dev/null; } || \
		{ echo "valgrind is missing (apt-get install valgrind libc6-dbg)" >&2; exit 1; }

.PHONY: bench-instructions
bench-instructions: dev valgrind ## count the engine's instructions, and store them in bench/instructions.tsv
	$(BIN)/python -m bench.instructions

.PHONY: check-instructions
check-instructions: dev valgrind ## fail if anything takes more instructions than are stored
	$(BIN)/python -m bench.instructions --check

.PHONY: man
man: $(VENV)/.dev ## the manual pages, from man/*.rst and the comments of plugin/audisp-pyaudit.toml
	$(BIN)/python man/build.py

.PHONY: knowledge-update
knowledge-update: $(VENV)/.dev ## refresh what was extracted from the kernel's headers (needs Debian's archive)
	rm -rf build/headers && mkdir -p build/headers
	$(BIN)/python src/knowledge/extract.py --download build/headers
	$(BIN)/python src/knowledge/extract.py $$(for deb in build/headers/*.deb; do echo "--deb $$deb"; done) --out src/knowledge/data
	$(BIN)/python src/knowledge/document.py

.PHONY: clean
clean: ## remove what was built
	rm -rf $(VENV) src/target build dist src/audisp_pyaudit/*.so
