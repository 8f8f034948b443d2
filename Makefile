# SPDX-License-Identifier: GPL-2.0-or-later
#
# Thin on purpose: configure makes build trees, ninja builds, scripts/nested
# runs tests.  "make help" lists what is here.

BUILD ?= build
CONFIGURE_ARGS ?=
JOBS ?= $(shell nproc)

build := $(abspath $(BUILD))
obj := $(build)/obj
ninja := ninja -C $(obj) -j $(JOBS)
check := python3 scripts/nested/check.py --build=$(build) --jobs=$(JOBS)

# As it was configured before; a new tree gets CONFIGURE_ARGS
configured := ./configure --refresh --build-dir=$(build)

# With ccache: the same objects in every clone, wherever it lies
ifneq ($(wildcard /usr/lib/ccache/cc),)
export PATH := /usr/lib/ccache:$(PATH)
endif
export CCACHE_NOHASHDIR := 1
export CCACHE_BASEDIR := $(build)

.PHONY: all build slim deps check demo bench mutate install deb dist clean distclean help \
	patches-edit patches-refresh check-style check-build check-docs check-report \
	check-unit check-model check-qtest check-guests check-libvirt check-upstream check-lab \
	check-sanitizers check-deb check-install

all: build

build: deps-note
	@$(configured) $(CONFIGURE_ARGS)
	@$(ninja)

slim: deps-note
	@$(configured) --slim $(CONFIGURE_ARGS)
	@$(ninja) build.ninja
	@$(ninja) $$($(check) targets)

.PHONY: deps-note
deps-note:
	@scripts/nested/deps.sh check

deps:
	@scripts/nested/deps.sh install

# Set-up included: what a fresh clone on a fresh machine needs
check:
	@scripts/nested/deps.sh install
	@$(check) begin
	@$(MAKE) --no-print-directory slim
	@status=0; \
	for part in style build docs report unit model qtest guests libvirt \
	    upstream; do \
		$(check) $$part || status=1; \
	done; \
	$(check) total || status=1; \
	exit $$status

# The model is what the qtests stand on: its own tests come with them
parts_of_qtest := model qtest

check-style check-build check-docs check-report check-unit check-model \
check-qtest check-guests check-libvirt check-upstream: slim
	@$(check) begin
	@status=0; \
	for part in $(or $(parts_of_$(@:check-%=%)),$(@:check-%=%)); do \
		$(check) $$part || status=1; \
	done; \
	$(check) total || status=1; exit $$status

# No tests: the lab needs the emulators alone
check-lab:
	@scripts/nested/deps.sh install
	@$(configured) --slim $(CONFIGURE_ARGS)
	@$(ninja) qemu-system-x86_64 qemu-system-aarch64
	@$(check) lab

# A tree of its own: everything is compiled differently
sanitizers := $(build)/sanitizers
sanitized := python3 scripts/nested/check.py --build=$(sanitizers) \
	--jobs=$(JOBS) --sanitizers
SANITIZER_PARTS ?= unit model qtest

check-sanitizers: deps-note
	@./configure --refresh --build-dir=$(sanitizers) --slim --enable-asan \
		--enable-ubsan $(CONFIGURE_ARGS)
	@ninja -C $(sanitizers)/obj -j $(JOBS) build.ninja
	@ninja -C $(sanitizers)/obj -j $(JOBS) \
		$$($(sanitized) --parts='$(SANITIZER_PARTS)' targets)
	@$(sanitized) begin
	@status=0; \
	for part in $(SANITIZER_PARTS); do \
		$(sanitized) $$part || status=1; \
	done; \
	$(sanitized) total || status=1; exit $$status

# Hours, with all of them: MUTATE="--only hw/iommufd --shard 1/4" tries some
mutate: slim
	@python3 scripts/nested/mutate.py $(build) --jobs $(JOBS) $(MUTATE)

bench: slim
	@mkdir -p $(build)/results
	@python3 bench/bench.py --obj $(obj) --json $(build)/results/bench.json
	@python3 bench/plot.py --html $(build)/results/bench.html \
		$(build)/results/bench.json

demo:
	@scripts/nested/deps.sh install
	@scripts/nested/demo.sh $(build) $(JOBS)

install: build
	@scripts/nested/install.sh $(build) '$(DESTDIR)'

# Of what the build tree is configured for
deb: deps-note
	@$(configured) $(CONFIGURE_ARGS)
	@JOBS=$(JOBS) scripts/nested/deb.sh $(build)

# The packages are the same in a slim tree, and it is built for the tests
check-deb: deps-note
	@$(configured) --slim $(CONFIGURE_ARGS)
	@$(ninja) build.ninja
	@$(ninja) tests/iommufd-model/libiommufd-model.so
	@$(check) begin
	@status=0; $(check) deb || status=1; $(check) total || status=1; \
	exit $$status

# A tree of its own, with all that the machine's libraries allow
check-install: deps-note
	@mkdir -p $(build)
	@$(check) begin
	@status=0; $(check) install || status=1; $(check) total || status=1; \
	exit $$status

dist:
	@scripts/nested/dist.sh .

patches-edit: deps-note
	@$(configured) --slim --join-only
	@scripts/nested/patches.sh edit $(build)

patches-refresh: deps-note
	@$(configured) --slim --join-only
	@scripts/nested/patches.sh refresh $(build)

clean:
	rm -rf $(obj) $(build)/results

distclean:
	rm -rf $(build)

help:
	@sed -n 's/^#@ //p' $(firstword $(MAKEFILE_LIST))

#@ make                  get the QEMU base, configure and build in build/: both
#@                       system emulators, and all that the libraries allow
#@ make check            all set-up, then every test; no special hardware
#@ make demo             all set-up, then the live demonstration
#@ make bench            what guest commands cost: instructions, host calls
#@ make mutate           lines made wrong, which tests have to notice (hours)
#@ make deps             install the packages that building and testing need
#@ make slim             build only what tests and lab need
#@ make check-style      checkpatch, headers, -Werror on our files
#@ make check-build      configure itself: join, interrupt, errors
#@ make check-docs       every command line of the manual
#@ make check-report     what make demo tells of a run
#@ make check-unit       our unit tests
#@ make check-model      the /dev/iommu model: conformance, mutation, random
#@ make check-qtest      our qtests on the /dev/iommu model, and its own tests
#@ make check-guests     stock kernels and Xen as guests, with an assigned disk
#@ make check-libvirt    Debian's libvirt starts our QEMU, by XML
#@ make check-upstream   QEMU's own tests near our code; differences only
#@ make check-lab        whole nested machines, with real Linux (lab/run --list)
#@ make check-sanitizers unit, model and qtest parts under ASan and UBSan
#@ make check-deb        the packages of make deb, in a chroot
#@ make check-install    make and make install, from a tarball; builds all
#@ make install          as QEMU's, and links to firmware (DESTDIR is honoured)
#@ make deb              Debian packages, beside the distribution's QEMU
#@ make dist             source tarball of ours, qemu-nested-VERSION.tar.gz
#@ make patches-edit     lay the patch queue out for quilt
#@ make patches-refresh  rewrite the patches in their normal form
#@ make clean, distclean remove the build directory, the whole build tree
#@
#@ Variables: BUILD=build  CONFIGURE_ARGS=  JOBS=$(nproc)
