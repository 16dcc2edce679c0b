# Warmstart: `make help` lists what can be made.

PREFIX ?= /usr/local
DESTDIR ?=
# Where systemd has the daemon find its files, wherever the programs are.
CONFIGURATION = /etc/warmstart
SECONDS ?= 60
TARGETS ?=
SEED ?=
SCENARIOS ?= 500
FILES ?= 500
PATIENCE ?= 10
SUITE ?=
BENCH ?=
CACHE = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/warmstart
# TensorFlow is too large for the tree. All checkouts share one copy for each set of versions.
TENSORFLOW = Tests/Python/with_tensorflow/requirements.txt
TENSORFLOW_VENV ?= $(CACHE)/tensorflow-$(firstword $(shell cksum <$(TENSORFLOW)))
REQUIREMENTS = Tests/Python/requirements.txt
PYTHON_VENV ?= $(CACHE)/python-$(firstword $(shell cksum <$(REQUIREMENTS)))
FRAMEWORKS = Tests/Python/frameworks.txt
FRAMEWORKS_VENV ?= $(CACHE)/frameworks-$(firstword $(shell cat $(FRAMEWORKS) $(REQUIREMENTS) | cksum))
HOSTS = Tests/System/ManyHosts/requirements.txt
HOSTS_VENV ?= $(CACHE)/hosts-$(firstword $(shell cksum <$(HOSTS)))
# These tests run in a process of their own, because JAX starts threads and other tests fork.
FRAMEWORK_TESTS = $(addprefix Tests/Python/test_,torch.py jax.py in_place.py imports.py)
# The interpreters that `make python-matrix` runs.
PYTHONS ?= python3.9 python3.11 python3.13

SWIFT = swift
# With file names and lines in reports, but nothing for debuggers, which takes long to build.
SANITIZED = $(SWIFT) build --build-tests -Xswiftc -gline-tables-only
# Each shared library and each relocation slows activation down, and libstdc++ most of all. So every
# library that has an archive is linked statically: STATIC has links to the archives and to nothing
# else, and the linker looks there first. No symbols are exported.
STATIC = .build/static
# No path of the build is in the programs, nor when a file was checked out: two builds in one place are
# equal. The compiler orders some instructions by its hashes, and by where its memory is.
build bench-programs: export SWIFT_DETERMINISTIC_HASHING = 1
build bench-programs: SWIFT := $(shell setarch -R true 2>/dev/null && echo setarch -R) $(SWIFT)
RELEASE = -c release --static-swift-stdlib --disable-local-rpath -Xswiftc -use-ld=lld \
  -Xcc -ffile-prefix-map=$(CURDIR)=. -Xcc -Xclang -Xcc -fno-pch-timestamp \
  -Xlinker -L$(STATIC) -Xlinker -lgcc_eh \
  -Xlinker --no-export-dynamic -Xlinker -z -Xlinker pack-relative-relocs
PRODUCTS = warmstartd warmstartctl warmstart-demo-trainer
UNITS = warmstartd.service warmstartd.socket warmstart-admin.socket warmstart-metrics.socket
SYSTEM_UNITS = $(UNITS) warmstart-preload@.service warmstart-preload@.path warmstart-newest@.service \
  warmstart-textfile.service warmstart-textfile.timer

# The Debian packages that `make system-test` needs.
SYSTEM_PACKAGES = debootstrap lintian systemd-container
# The Debian packages that `make test-prometheus` needs.
PROMETHEUS_PACKAGES = prometheus
# The Debian packages that `make many-hosts` needs.
HOSTS_PACKAGES = fuse3 iproute2 rclone s3fs
# The Debian packages that `make deb` needs.
DEB_PACKAGES = debhelper dh-python go-md2man pybuild-plugin-pyproject python3-all python3-numpy \
  python3-protobuf python3-setuptools
# The Debian packages that everything else needs beside Swift 6.3: libraries, protoc-c for
# `make check`, systemd-socket-activate for `make demo`, strace and valgrind for counts.
PACKAGES = libprotobuf-c-dev libsystemd-dev libsnappy-dev libisal-dev libgcrypt20-dev pkg-config \
  protobuf-c-compiler protobuf-compiler strace systemd valgrind
# Debian keeps the module ensurepip in a package of its own.
PYTHON_PACKAGES = $(shell python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv)

.PHONY: help deps build system-deps hosts-deps deb-deps prometheus-deps python-deps test test-prometheus test-tensorflow test-python-frameworks test-readme python-matrix attack system-test many-hosts conformance conformance-seeded conformance-both conformance-formats bench bench-python bench-programs check demo fuzz sanitize install uninstall deb reproducible format clean

help:
	@echo 'make build      the release programs, in .build/release'
	@echo 'make test       all tests that need neither root nor large packages'
	@echo 'make python-matrix  Python'"'"'s tests with all supported versions; PYTHONS=$(PYTHONS)'
	@echo 'make test-tensorflow  Python'"'"'s tests with TensorFlow'
	@echo 'make test-python-frameworks  Python'"'"'s tests with JAX and torch'
	@echo 'make test-prometheus  a real Prometheus reads the metrics, and each alert fires'
	@echo 'make test-readme  README, followed to the letter on a fresh clone'
	@echo 'make check      format, arrows, documentation, generated code, libraries, units, counts'
	@echo 'make sanitize   the tests with ThreadSanitizer, then with AddressSanitizer'
	@echo 'make fuzz       fuzz each of TARGETS, by default all, for SECONDS=$(SECONDS)'
	@echo 'make demo       the main job: a daemon, four trainers, one copy'
	@echo 'make system-test  the daemon under real systemd, in a container, with SUITE=trixie systemd 257; needs root'
	@echo 'make many-hosts  Ray on several hosts, with checkpoints from an object store; needs root'
	@echo 'make attack     one user tries to stop another user'"'"'s jobs; needs root'
	@echo 'make conformance  compare with real TensorFlow: SCENARIOS=$(SCENARIOS), SEED= to repeat a run'
	@echo 'make conformance-both  the same with a random seed and with seed 1'
	@echo 'make conformance-formats  compare with safetensors, NumPy, h5py and, if it is installed, torch: FILES=$(FILES)'
	@echo 'make bench      measure calls beside C programs that do the same'
	@echo 'make bench-python  measure the clients beside Plasma, safetensors, mmap and TensorFlow; minutes, 12 GiB'
	@echo 'make install    to $$DESTDIR$$PREFIX (PREFIX=$(PREFIX)): programs, units, users'
	@echo 'make deb        Debian packages, in .build/deb'
	@echo 'make reproducible  the packages of what is committed, built twice, are equal; some 6 minutes'
	@echo 'make uninstall  remove what make install installed'
	@echo 'make format     format Swift and Python in place'
	@echo 'make clean      remove what was built'

# Installs missing packages as root, and lists them for other users.
deps: WANTED = $(PACKAGES)
system-deps: WANTED = $(PACKAGES) $(SYSTEM_PACKAGES) $(DEB_PACKAGES)
hosts-deps: WANTED = $(PACKAGES) $(HOSTS_PACKAGES)
deb-deps: WANTED = $(PACKAGES) $(DEB_PACKAGES)
prometheus-deps: WANTED = $(PACKAGES) $(PROMETHEUS_PACKAGES)
python-deps: WANTED = $(PACKAGES) $(PYTHON_PACKAGES)
deps system-deps hosts-deps deb-deps prometheus-deps python-deps:
	@missing=''; for package in $(WANTED); do \
	  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' \
	    || missing="$$missing $$package"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" -ne 0 ]; then echo "please install:$$missing" >&2; exit 1; fi; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null

# The versions of Swift packages that everything is built and tested with. To change them, run
# `swift package update` and copy the file back.
deps: Package.resolved
Package.resolved: .Package.resolved
	cp $< $@

build: deps $(STATIC)
	@for product in $(PRODUCTS); do $(SWIFT) build $(RELEASE) --product $$product || exit 1; done

test: deps | $(PYTHON_VENV)
	$(SWIFT) build --build-tests
	Tests/run
	WARMSTARTD=$$($(SWIFT) build --show-bin-path)/warmstartd \
	  $(PYTHON_VENV)/bin/python3 -m pytest --quiet $(FRAMEWORK_TESTS:%=--ignore=%) Tests/Python
	WARMSTARTD=$$($(SWIFT) build --show-bin-path)/warmstartd \
	  $(PYTHON_VENV)/bin/python3 -m pytest --quiet $(FRAMEWORK_TESTS)

# Not part of `make test`, because torch is large.
test-python-frameworks: build | $(FRAMEWORKS_VENV)
	WARMSTARTD=.build/release/warmstartd $(FRAMEWORKS_VENV)/bin/python3 -m pytest --quiet \
	  $(FRAMEWORK_TESTS)

test-tensorflow: build | $(TENSORFLOW_VENV)
	WARMSTARTD=.build/release/warmstartd $(TENSORFLOW_VENV)/bin/python3 -m pytest --quiet \
	  Tests/Python/with_tensorflow

test-prometheus: prometheus-deps build
	Tests/System/Prometheus/run .build/release

# Follows README on a fresh clone of what is committed, which it builds.
test-readme: deps
	Tests/System/Readme/run

# Tests each supported version of the package's requirements with each interpreter. Slow; needs the
# network.
python-matrix: build
	Tests/Python/matrix .build/release/warmstartd $(PYTHONS)

check: deps | $(PYTHON_VENV)
	PYTHON=$(PYTHON_VENV)/bin/python3 Tests/check

# These suites run on one thread, or send one request at a time. They have no races to find, and are
# slow under ThreadSanitizer. Package.swift leaves out others; AddressSanitizer watches the readers
# of files while they are fuzzed.
SINGLE_THREADED = ^WarmstartMessagesTests\.|\.(CorpusTests|GoldenTests)/

sanitize: export WARMSTART_SANITIZED = 1
sanitize: deps
	$(SANITIZED) --sanitize thread --scratch-path .build-thread
	TSAN_OPTIONS=exitcode=66 \
	  Tests/run --sanitize thread --scratch-path .build-thread --skip '$(SINGLE_THREADED)'
	$(SANITIZED) --sanitize address --scratch-path .build-address
	LSAN_OPTIONS=suppressions=$(CURDIR)/Tests/leaks.supp:print_suppressions=0 \
	  Tests/run --sanitize address --scratch-path .build-address

# Inputs that reach new code stay in .build-fuzz/corpus, where the next run starts.
fuzz: deps
	$(SWIFT) build -c release --package-path Tests/Fuzz --scratch-path .build-fuzz
	Tests/Fuzz/run $(SECONDS) $(TARGETS)

# Boots real systemd in a container of Debian packages, whose root directory is made once. SUITE=trixie
# has a newer systemd than this machine.
system-test: system-deps deb
	lintian --allow-root --fail-on error,warning .build/deb/*.changes
	Tests/System/Container/run .build/deb .build/system$(SUITE:%=-%) 5 $(SUITE)

# Makes hosts of namespaces, which have mounts of a bucket. Not part of CI, because Ray is large.
many-hosts: build hosts-deps | $(HOSTS_VENV)
	$(HOSTS_VENV)/bin/python3 Tests/System/ManyHosts/run .build/release

# Runs processes of two users; skips everything without root. PATIENCE is how many times slower the
# victim may become; on a quiet machine 3 is enough.
attack: build
	Tests/System/Attacks/run .build/release --patience $(PATIENCE)

$(TENSORFLOW_VENV): INSTALLED = --requirement $(TENSORFLOW)
$(PYTHON_VENV): INSTALLED = --requirement $(REQUIREMENTS)
$(FRAMEWORKS_VENV): INSTALLED = --requirement $(FRAMEWORKS)
$(HOSTS_VENV): INSTALLED = --requirement $(HOSTS)
# A venv gets its name only when it is complete.
$(TENSORFLOW_VENV) $(PYTHON_VENV) $(FRAMEWORKS_VENV) $(HOSTS_VENV): | python-deps
	rm -rf $@.part
	python3 -m venv $@.part
	$@.part/bin/python3 -m pip install --quiet --disable-pip-version-check $(INSTALLED)
	mv $@.part $@

conformance conformance-seeded: build | $(TENSORFLOW_VENV)
	$(TENSORFLOW_VENV)/bin/python3 Tests/System/Conformance/run .build/release \
	  --scenarios $(SCENARIOS) $(if $(SEED),--seed $(SEED))

# At once, because each run uses one processor.
conformance-seeded: SEED = 1
conformance-both:
	$(MAKE) --jobs=2 --output-sync conformance conformance-seeded

$(STATIC):
	mkdir -p $@
	for library in protobuf-c snappy stdc++; do \
	  ln -s $$(clang -print-file-name=lib$$library.a) $@/ || exit 1; done

# torch is compared only if the tests of frameworks have installed it: it is large.
conformance-formats: build | $(PYTHON_VENV) $(TENSORFLOW_VENV)
	for format in safetensors numpy; do \
	  $(PYTHON_VENV)/bin/python3 Tests/System/Conformance/formats .build/release \
	    $${format}_files --files $(FILES) $(if $(SEED),--seed $(SEED)) || exit 1; done
	$(TENSORFLOW_VENV)/bin/python3 Tests/System/Conformance/hdf5 .build/release --scenarios $(FILES) \
	  $(if $(SEED),--seed $(SEED))
	if test -e $(FRAMEWORKS_VENV); then \
	  $(FRAMEWORKS_VENV)/bin/python3 Tests/System/Conformance/formats .build/release \
	    torch_files --files $(FILES) $(if $(SEED),--seed $(SEED)); fi

bench: bench-programs
	.build/release/warmstart-benchmarks

# Needs memory for eight copies of a checkpoint of 1 GiB, and a Python that pyarrow 11 supports.
bench-python: build bench-programs | $(TENSORFLOW_VENV)
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
	for unit in $(SYSTEM_UNITS); do \
	  sed 's|^\(Exec[A-Za-z]*\)=/usr/bin/|\1=$(PREFIX)/bin/|' systemd/$$unit \
	    > $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit || exit 1; done
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/user
	for unit in $(UNITS); do \
	  sed 's|^\(Exec[A-Za-z]*\)=/usr/bin/|\1=$(PREFIX)/bin/|' systemd/user/$$unit \
	    > $(DESTDIR)$(PREFIX)/lib/systemd/user/$$unit || exit 1; done
	install -Dm644 Protos/warmstart.binpb $(DESTDIR)$(PREFIX)/share/warmstart/warmstart.binpb
	install -Dm644 systemd/warmstart.catalog \
	  $(DESTDIR)$(PREFIX)/lib/systemd/catalog/warmstart.catalog
	@if [ -z '$(DESTDIR)' ] && [ "$$(id -u)" -eq 0 ] && command -v journalctl >/dev/null; then \
	  journalctl --update-catalog; fi
	install -d $(DESTDIR)$(PREFIX)/share/doc/warmstartd/examples
	install -m644 systemd/examples/* $(DESTDIR)$(PREFIX)/share/doc/warmstartd/examples/
	install -Dm644 systemd/sysusers.d/warmstart.conf \
	  $(DESTDIR)$(PREFIX)/lib/sysusers.d/warmstart.conf
	for shell in bash:bash-completion/completions/warmstartctl \
	    zsh:zsh/vendor-completions/_warmstartctl fish:fish/vendor_completions.d/warmstartctl.fish; do \
	  install -d $(DESTDIR)$(PREFIX)/share/$$(dirname $${shell#*:}) && \
	  .build/release/warmstartctl --generate-completion-script $${shell%%:*} | sed '1{/^#!/d}' \
	    > $(DESTDIR)$(PREFIX)/share/$${shell#*:} || exit 1; done
	install -Dm644 systemd/warmstartd.conf $(DESTDIR)$(CONFIGURATION)/warmstartd.conf
	install -Dm644 systemd/man/warmstartd.conf.5 \
	  $(DESTDIR)$(PREFIX)/share/man/man5/warmstartd.conf.5
	install -Dm644 systemd/man/warmstartd.8 $(DESTDIR)$(PREFIX)/share/man/man8/warmstartd.8
	install -Dm644 systemd/man/warmstartctl.1 $(DESTDIR)$(PREFIX)/share/man/man1/warmstartctl.1

# Debian packages in .build/deb. They do not depend on the folder and the time of the build.
deb: DEB_TREE = .build/deb/warmstart
deb: deb-deps build
	rm -rf .build/deb && mkdir -p $(DEB_TREE)
	$(MAKE) install DESTDIR=$(CURDIR)/$(DEB_TREE)/installed PREFIX=/usr
	cp -r systemd/debian Sources/Server/Server.docc/Protocol.md $(DEB_TREE)/
	mkdir $(DEB_TREE)/python && git ls-files Sources/Python | \
	  tar --create --files-from=- | tar --extract --strip-components=2 -C $(DEB_TREE)/python
	cd $(DEB_TREE) && PATH=/usr/sbin:/usr/bin:/sbin:/bin dpkg-buildpackage --build=binary --no-sign

# Packs what is committed twice, in one place and with fresh files.
reproducible: TREE = .build/reproducible/warmstart
reproducible:
	for count in 1 2; do \
	  rm -rf $(TREE) && git clone --quiet . $(TREE) && $(MAKE) -C $(TREE) deb && \
	  (cd $(TREE)/.build/deb && sha256sum *.deb) >.build/reproducible/$$count || exit 1; done
	cmp .build/reproducible/1 .build/reproducible/2

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/warmstartd $(DESTDIR)$(PREFIX)/bin/warmstartctl
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/lib/systemd/system/,$(SYSTEM_UNITS))
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/lib/systemd/user/,$(UNITS))
	rm -f $(DESTDIR)$(PREFIX)/lib/sysusers.d/warmstart.conf
	rm -f $(DESTDIR)$(PREFIX)/lib/systemd/catalog/warmstart.catalog
	rm -f $(DESTDIR)$(PREFIX)/share/man/man8/warmstartd.8
	rm -f $(DESTDIR)$(PREFIX)/share/man/man5/warmstartd.conf.5
	rm -f $(DESTDIR)$(PREFIX)/share/man/man1/warmstartctl.1
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/warmstartctl
	rm -f $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_warmstartctl
	rm -f $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/warmstartctl.fish
	rm -rf $(DESTDIR)$(PREFIX)/share/warmstart $(DESTDIR)$(PREFIX)/share/doc/warmstartd/examples

format: | $(PYTHON_VENV)
	$(SWIFT) format --in-place --recursive --parallel Sources Tests Package.swift
	$(PYTHON_VENV)/bin/python3 -m ruff format Sources/Python Tests/Python Tests/Benchmarks/python

clean:
	rm -rf .build .build-thread .build-address .build-fuzz
