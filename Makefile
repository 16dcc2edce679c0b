# Warmstart: `make help` lists what can be made.

PREFIX ?= /usr/local
DESTDIR ?=
SECONDS ?= 60
TARGETS ?=
SEED ?=
SCENARIOS ?= 500
PATIENCE ?= 10
BENCH ?=
CACHE = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/warmstart
# TensorFlow is too large for the tree, and one of it serves all checkouts; another when other versions
# are required.
TENSORFLOW = Tests/Python/with_tensorflow/requirements.txt
TENSORFLOW_VENV ?= $(CACHE)/tensorflow-$(firstword $(shell cksum <$(TENSORFLOW)))
REQUIREMENTS = Tests/Python/requirements.txt
PYTHON_VENV ?= $(CACHE)/python-$(firstword $(shell cksum <$(REQUIREMENTS)))
FRAMEWORKS = Tests/Python/frameworks.txt
FRAMEWORKS_VENV ?= $(CACHE)/frameworks-$(firstword $(shell cat $(FRAMEWORKS) $(REQUIREMENTS) | cksum))
# In a process of their own: JAX has threads, and other tests fork.
FRAMEWORK_TESTS = $(addprefix Tests/Python/test_,torch.py jax.py in_place.py imports.py)
# The interpreters of `make python-matrix`.
PYTHONS ?= python3.9 python3.11 python3.13

SWIFT = swift
# All that is loaded and relocated makes activation slower, and libstdc++ most of all: what there is
# an archive of is linked statically, by offering the linker nothing else; nothing is exported.
STATIC = .build/static
RELEASE = -c release --static-swift-stdlib --disable-local-rpath -Xswiftc -use-ld=lld \
  -Xlinker -L$(STATIC) -Xlinker -lgcc_eh \
  -Xlinker --no-export-dynamic -Xlinker -z -Xlinker pack-relative-relocs
PRODUCTS = warmstartd warmstartctl warmstart-demo-trainer
UNITS = warmstartd.service warmstartd.socket warmstart-admin.socket

# What Debian calls what we need, beside Swift 6.3: libraries, protoc-c for `make check`,
# systemd-socket-activate for `make demo`, strace and valgrind for counts.
SYSTEM_PACKAGES = debootstrap systemd-container
PACKAGES = libprotobuf-c-dev libsystemd-dev libsnappy-dev libisal-dev pkg-config \
  protobuf-c-compiler protobuf-compiler strace systemd valgrind
# A Python that was not installed by Debian has what Debian keeps apart.
PYTHON_PACKAGES = $(shell python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv)

.PHONY: help deps build system-deps python-deps test test-tensorflow test-python-frameworks test-readme python-matrix attack system-test conformance bench bench-python bench-programs check demo fuzz sanitize install uninstall format clean

help:
	@echo 'make build      the release programs, in .build/release'
	@echo 'make test       all tests that need no root'
	@echo 'make python-matrix  Python'"'"'s tests with all that the package supports; PYTHONS=$(PYTHONS)'
	@echo 'make test-tensorflow  Python'"'"'s tests with TensorFlow'
	@echo 'make test-python-frameworks  Python'"'"'s tests with JAX and torch'
	@echo 'make test-readme  README, followed to the letter on a fresh clone'
	@echo 'make check      format, imports, generated code, libraries, units, counts'
	@echo 'make sanitize   the tests with ThreadSanitizer, then with AddressSanitizer'
	@echo 'make fuzz       fuzzing, SECONDS=$(SECONDS) for each of TARGETS, by default all'
	@echo 'make demo       the main job: a daemon, four trainers, one copy'
	@echo 'make system-test  the daemon under real systemd, in a container; needs root'
	@echo 'make attack     two users, one of whom tries to stop the other; needs root'
	@echo 'make conformance  real TensorFlow beside us: SCENARIOS=$(SCENARIOS), SEED= for the same again'
	@echo 'make bench      what calls cost, beside C doing the same'
	@echo 'make bench-python  the Python client beside Plasma, mmap and TensorFlow; some minutes, 12 GiB'
	@echo 'make install    to $$DESTDIR$$PREFIX (PREFIX=$(PREFIX)): programs, units, users'
	@echo 'make uninstall  remove what make install installed'
	@echo 'make format     format Swift and Python in place'
	@echo 'make clean      remove what was built'

# Installs what is missing if it may, else says what to install.
deps: WANTED = $(PACKAGES)
system-deps: WANTED = $(PACKAGES) $(SYSTEM_PACKAGES)
python-deps: WANTED = $(PACKAGES) $(PYTHON_PACKAGES)
deps system-deps python-deps:
	@missing=''; for package in $(WANTED); do \
	  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' \
	    || missing="$$missing $$package"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" -ne 0 ]; then echo "please install:$$missing" >&2; exit 1; fi; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null

build: deps $(STATIC)
	@for product in $(PRODUCTS); do $(SWIFT) build $(RELEASE) --product $$product || exit 1; done

test: deps | $(PYTHON_VENV)
	$(SWIFT) build --build-tests
	Tests/run
	WARMSTARTD=$$($(SWIFT) build --show-bin-path)/warmstartd \
	  $(PYTHON_VENV)/bin/python3 -m pytest --quiet $(FRAMEWORK_TESTS:%=--ignore=%) Tests/Python
	WARMSTARTD=$$($(SWIFT) build --show-bin-path)/warmstartd \
	  $(PYTHON_VENV)/bin/python3 -m pytest --quiet $(FRAMEWORK_TESTS)

# Torch is too large for `make test`.
test-python-frameworks: build | $(FRAMEWORKS_VENV)
	WARMSTARTD=.build/release/warmstartd $(FRAMEWORKS_VENV)/bin/python3 -m pytest --quiet \
	  $(FRAMEWORK_TESTS)

test-tensorflow: build | $(TENSORFLOW_VENV)
	WARMSTARTD=.build/release/warmstartd $(TENSORFLOW_VENV)/bin/python3 -m pytest --quiet \
	  Tests/Python/with_tensorflow

# Follows README on a fresh clone of what is committed, which it builds.
test-readme: deps
	Tests/System/Readme/run

# Slow, and needs the network: each version of what the package needs, with each interpreter.
python-matrix: build
	Tests/Python/matrix .build/release/warmstartd $(PYTHONS)

check: deps | $(PYTHON_VENV)
	PYTHON=$(PYTHON_VENV)/bin/python3 Tests/check

# What runs on one thread, or asks one question at a time, has no races to find, and is slowest under
# ThreadSanitizer.
SINGLE_THREADED = ^Warmstart(Checkpoint|Locate|Messages|Table|TensorModel)Tests\.|\.(CorpusTests|GoldenTests)/

sanitize: deps
	$(SWIFT) build --build-tests --sanitize thread --scratch-path .build-thread
	Tests/run --sanitize thread --scratch-path .build-thread --skip '$(SINGLE_THREADED)'
	$(SWIFT) build --build-tests --sanitize address --scratch-path .build-address
	LSAN_OPTIONS=suppressions=$(CURDIR)/Tests/leaks.supp:print_suppressions=0 \
	  Tests/run --sanitize address --scratch-path .build-address

# What is found worth keeping stays in .build-fuzz/corpus, for the next time to start from.
fuzz: deps
	$(SWIFT) build -c release --package-path Tests/Fuzz --scratch-path .build-fuzz
	Tests/Fuzz/run $(SECONDS) $(TARGETS)

# Boots real systemd in a container made of Debian packages; its root is made once.
system-test: system-deps build
	rm -rf .build/installed
	$(MAKE) install DESTDIR=$(CURDIR)/.build/installed PREFIX=/usr
	Tests/System/Container/run .build/installed .build/system

# Real processes of two users; without root all of it is skipped. The victim's times count as far as
# a machine that does other work can tell: where it is quiet, --patience 3 is what is wanted.
attack: build
	Tests/System/Attacks/run .build/release --patience $(PATIENCE)

$(TENSORFLOW_VENV): INSTALLED = --requirement $(TENSORFLOW)
$(PYTHON_VENV): INSTALLED = --requirement $(REQUIREMENTS)
$(FRAMEWORKS_VENV): INSTALLED = --requirement $(FRAMEWORKS)
# Only a venv that is whole has its name.
$(TENSORFLOW_VENV) $(PYTHON_VENV) $(FRAMEWORKS_VENV): | python-deps
	rm -rf $@.part
	python3 -m venv $@.part
	$@.part/bin/python3 -m pip install --quiet --disable-pip-version-check $(INSTALLED)
	mv $@.part $@

conformance: build | $(TENSORFLOW_VENV)
	$(TENSORFLOW_VENV)/bin/python3 Tests/System/Conformance/run .build/release \
	  --scenarios $(SCENARIOS) $(if $(SEED),--seed $(SEED))

$(STATIC):
	mkdir -p $@
	for library in protobuf-c snappy stdc++; do \
	  ln -s $$(clang -print-file-name=lib$$library.a) $@/ || exit 1; done

bench: bench-programs
	.build/release/warmstart-benchmarks

# Needs memory for eight copies of a checkpoint of 1 GiB, and a Python that pyarrow 11 runs on.
bench-python: build | $(TENSORFLOW_VENV)
	Tests/Benchmarks/python/run .build/release --tensorflow $(TENSORFLOW_VENV) $(BENCH)

bench-programs: deps $(STATIC)
	@for product in warmstartd warmstart-benchmarks; do \
	  $(SWIFT) build $(RELEASE) --product $$product || exit 1; done
	clang -O2 -Wall -Werror -shared -fPIC -o .build/release/allocations.so \
	  Tests/Benchmarks/allocations.c
	clang -O2 -Wall -Werror -o .build/release/activated Tests/Benchmarks/activated.c \
	  -lsystemd

demo: build
	Tests/System/Demo/demo .build/release

install:
	@test -x .build/release/warmstartd || { echo 'run make build first' >&2; exit 1; }
	install -Dm755 .build/release/warmstartd $(DESTDIR)$(PREFIX)/bin/warmstartd
	install -Dm755 .build/release/warmstartctl $(DESTDIR)$(PREFIX)/bin/warmstartctl
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	for unit in $(UNITS); do \
	  sed 's|^ExecStart=/usr/bin/|ExecStart=$(PREFIX)/bin/|' systemd/$$unit \
	    > $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit || exit 1; done
	install -Dm644 Protos/warmstart.binpb $(DESTDIR)$(PREFIX)/share/warmstart/warmstart.binpb
	install -Dm644 systemd/sysusers.d/warmstart.conf \
	  $(DESTDIR)$(PREFIX)/lib/sysusers.d/warmstart.conf

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/warmstartd $(DESTDIR)$(PREFIX)/bin/warmstartctl
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/lib/systemd/system/,$(UNITS))
	rm -f $(DESTDIR)$(PREFIX)/lib/sysusers.d/warmstart.conf
	rm -rf $(DESTDIR)$(PREFIX)/share/warmstart

format: | $(PYTHON_VENV)
	$(SWIFT) format --in-place --recursive --parallel Sources Tests Package.swift
	$(PYTHON_VENV)/bin/python3 -m ruff format Sources/Python Tests/Python

clean:
	rm -rf .build .build-thread .build-address .build-fuzz
