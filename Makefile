# SPDX-License-Identifier: LGPL-2.1-or-later
VERSION    = 0.1.0
prefix     = /usr
sysconfdir = /etc
bindir    = $(prefix)/bin
libexecdir = $(prefix)/libexec/sessbox
mandir     = $(prefix)/share/man
docdir     = $(prefix)/share/doc/sessbox
compdir    = $(prefix)/share/bash-completion/completions
unitdir    = $(prefix)/lib/systemd/system
multiarch  = $(shell $(CC) -print-multiarch)
pamdir     = /lib/$(multiarch)/security

CC       = gcc
B        = build
WERROR   = -Werror
WARN     = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes $(WERROR) \
	-Wno-unknown-warning-option -Wno-format-truncation
OPT      = -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2
override CFLAGS := -std=gnu11 $(OPT) $(WARN) $(CFLAGS)
override CPPFLAGS := -Iinclude -D_GNU_SOURCE -DSB_VERSION='"$(VERSION)"' \
	-DSB_LIBEXECDIR='"$(libexecdir)"' -DSB_SYSCONFDIR='"$(sysconfdir)"' \
	-DSB_PAMDIR='"$(pamdir)"' -MMD -MP $(CPPFLAGS)
# Linked statically: one library more to map costs every login 50 microseconds, and its name is another
# one in each release of Debian.
INIPARSER = -Wl,-Bstatic -liniparser -Wl,-Bdynamic
HARDEN   = -Wl,-z,defs -Wl,-z,now -Wl,-z,relro -Wl,--as-needed

core    = $(patsubst src/core/%.c,$B/o/core/%.o,$(wildcard src/core/*.c))
helper  = $(patsubst src/helper/%.c,$B/o/helper/%.o,$(wildcard src/helper/*.c))
init    = $(patsubst src/init/%.c,$B/o/init/%.o,$(wildcard src/init/*.c)) $B/o/init/io.o
client  = $(patsubst src/client/%.c,$B/o/client/%.o,$(wildcard src/client/*.c)) \
	$B/o/client/io.o $B/o/client/proxy.o
sessctl = $(patsubst src/sessctl/%.c,$B/o/sessctl/%.o,$(wildcard src/sessctl/*.c))
module  = $(patsubst pam_module/%.c,$B/o/module/%.o,$(wildcard pam_module/*.c)) $B/o/module/io.o
man     = $(patsubst docs/%.scd,$B/man/%,$(wildcard docs/*.scd))
# Units, and drop-ins of units.
systemd = $(patsubst conf/systemd/%.in,%,$(wildcard conf/systemd/*.in conf/systemd/*/*.in))

unit    = $(patsubst tests/unit/test_%.c,$B/unit/test_%,$(wildcard tests/unit/test_*.c))

all: programs $(man) $(addprefix $B/systemd/,$(systemd))
programs: $B/pam_sessbox.so $B/sessbox-helper $B/sessbox-init $B/sessbox-proxy $B/sessctl

$B/libsessbox.a: $(core)
	rm -f $@ && $(AR) rcs $@ $^
$B/sessbox-helper: $(helper) $B/libsessbox.a
	$(CC) $(CFLAGS) -pie $(HARDEN) $(LDFLAGS) -o $@ $^ $(INIPARSER)
# All of sessctl but its main: what the unit tests link.
$B/libsessctl.a: $(filter-out %/main.o,$(sessctl))
	rm -f $@ && $(AR) rcs $@ $^
$B/unit/test_%: tests/unit/test_%.c $B/libsessctl.a $B/libsessbox.a | $B/unit
	$(CC) $(CPPFLAGS) -Isrc/sessctl -Isrc/core $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka \
		-liniparser -lsmartcols
units: $(unit)

# Fails, kills or hangs a chosen step of a login, or ignores a key: for tests alone.
$B/test/sessbox-helper: $(helper) tests/lib/faults.c tests/lib/ignore.c $B/libsessbox.a \
		| $B/test $B/test/libnss_hang.so.2 $B/test/libnss_half.so.2 $B/test/sessctl \
		$B/test/next-helper
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIE -pie $(HARDEN) -Wl,--wrap=sb_config_load $(LDFLAGS) \
		-o $@ $^ $(INIPARSER)
# The next release's, as far as it speaks with the module: for tests alone.
$B/test/next-helper: $(helper) $B/libsessbox.a | $B/test
	$(CC) $(CPPFLAGS) -DSB_TEST_NEXT_RELEASE $(CFLAGS) -fPIE -pie $(HARDEN) $(LDFLAGS) -o $@ \
		$(wildcard src/helper/*.c) $B/libsessbox.a $(INIPARSER)
# Ignores a key, too: for those that are only shown.
$B/test/sessctl: $(sessctl) tests/lib/ignore.c $B/libsessbox.a | $B/test
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIE -pie $(HARDEN) -Wl,--wrap=sb_config_load $(LDFLAGS) \
		-o $@ $^ $(INIPARSER) -lsmartcols
# Directories that do not answer: for tests alone.
$B/test/libnss_%.so.2: tests/lib/nss_%.c | $B/test
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -shared $(LDFLAGS) -o $@ $<
$B/sessctl: $(sessctl) $B/libsessbox.a
	$(CC) $(CFLAGS) -pie $(HARDEN) $(LDFLAGS) -o $@ $^ $(INIPARSER) -lsmartcols
$B/sessbox-init: $(init)
	$(CC) $(CFLAGS) -static -Wl,--gc-sections $(LDFLAGS) -o $@ $^
$B/sessbox-proxy: $(client)
	$(CC) $(CFLAGS) -static -Wl,--gc-sections $(LDFLAGS) -o $@ $^
$B/pam_sessbox.so: $(module) pam_module/pam_sessbox.map
	$(CC) $(CFLAGS) -shared $(HARDEN) -Wl,--version-script=pam_module/pam_sessbox.map \
		$(LDFLAGS) -o $@ $(module) -lpam

$B/o/core/%.o: src/core/%.c | $B/o/core
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIE -c -o $@ $<
$B/o/helper/%.o: src/helper/%.c | $B/o/helper
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIE -c -o $@ $<
$B/o/sessctl/%.o: src/sessctl/%.c | $B/o/sessctl
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIE -c -o $@ $<
$B/o/init/%.o: src/init/%.c | $B/o/init
	$(CC) $(CPPFLAGS) $(CFLAGS) -ffunction-sections -c -o $@ $<
$B/o/init/io.o: src/core/io.c | $B/o/init
	$(CC) $(CPPFLAGS) $(CFLAGS) -ffunction-sections -c -o $@ $<
$B/o/client/%.o: src/client/%.c | $B/o/client
	$(CC) $(CPPFLAGS) $(CFLAGS) -ffunction-sections -c -o $@ $<
$B/o/client/%.o: src/core/%.c | $B/o/client
	$(CC) $(CPPFLAGS) $(CFLAGS) -ffunction-sections -c -o $@ $<
$B/o/module/%.o: pam_module/%.c | $B/o/module
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -c -o $@ $<
$B/o/module/io.o: src/core/io.c | $B/o/module
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -c -o $@ $<
# The first line says that there are tables, which scdoc leaves out.
$B/man/%: docs/%.scd | $B/man
	{ echo "'\\\" t" && scdoc <$<; } >$@

$B/o/core $B/o/helper $B/o/init $B/o/client $B/o/sessctl $B/o/module $B/man $B/test $B/unit:
	mkdir -p $@

$B/systemd/%: conf/systemd/%.in
	mkdir -p $(@D)
	sed 's|@libexecdir@|$(libexecdir)|; s|@bindir@|$(bindir)|' $< >$@

# FILES into a directory, perhaps over those that run: behind a name there is a whole file at any moment.
# $(call put,MODE,FILES,DIRECTORY)
put = for file in $(2); do to=$(3)/$${file\#\#*/}; \
	install -m $(1) $$file $$to.new && mv -f $$to.new $$to || exit; done

install: all
	install -d $(DESTDIR)$(pamdir) $(DESTDIR)$(libexecdir) $(DESTDIR)$(bindir) \
		$(DESTDIR)$(docdir)/examples $(DESTDIR)$(sysconfdir)/security \
		$(DESTDIR)$(mandir)/man5 $(DESTDIR)$(mandir)/man8
	$(call put,0755,$B/sessbox-helper $B/sessbox-init $B/sessbox-proxy src/sessctl/sessbox-prove,$(DESTDIR)$(libexecdir))
	$(call put,0644,$B/pam_sessbox.so,$(DESTDIR)$(pamdir))
	$(call put,0755,$B/sessctl,$(DESTDIR)$(bindir))
	for unit in $(systemd); do \
		install -D -m 0644 $B/systemd/$$unit $(DESTDIR)$(unitdir)/$$unit || exit; done
	install -m 0644 docs/sessctl.schema.json $(DESTDIR)$(docdir)/
	install -m 0644 $(wildcard conf/pam.d/*.example) $(DESTDIR)$(docdir)/examples/
	install -m 0644 $(filter %.5,$(man)) $(DESTDIR)$(mandir)/man5/
	install -m 0644 $(filter %.8,$(man)) $(DESTDIR)$(mandir)/man8/
	install -D -m 0644 conf/sessctl.bash-completion $(DESTDIR)$(compdir)/sessctl
	[ -e $(DESTDIR)$(sysconfdir)/security/sessbox.conf ] || \
		install -m 0644 conf/sessbox.conf $(DESTDIR)$(sysconfdir)/security/

# Where PAM files are, and what they include by an absolute name.
pam_dirs = $(DESTDIR)$(sysconfdir)/pam.d $(DESTDIR)/usr/lib/pam.d
pam_included = $$(grep -RhsE '^[^\#]*(include|substack)[[:space:]]+/' $(pam_dirs) | \
	sed -E 's/.*(include|substack)[[:space:]]+//; s/[[:space:]].*//')

# Leaves the configuration; ends tenants and takes the template's two mounts down first. A stack that
# names a missing module lets nobody in, root included; and with systemd asking a program that is gone,
# nobody would get a user manager.
uninstall:
	@files=$$(grep -Rls pam_sessbox $(pam_dirs) $(pam_included)); [ -z "$$files" ] || { \
		echo "take the pam_sessbox lines out of these files first, by sessctl disable --all:" $$files >&2; exit 1; }
	[ -n "$(DESTDIR)" ] || [ ! -x $(bindir)/sessctl ] || $(bindir)/sessctl terminate --all
	[ -n "$(DESTDIR)" ] || [ ! -x $(libexecdir)/sessbox-helper ] || $(libexecdir)/sessbox-helper release
	rm -f $(addprefix $(DESTDIR)$(unitdir)/,$(systemd))
	[ -n "$(DESTDIR)" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload
	rm -f $(DESTDIR)$(compdir)/sessctl $(DESTDIR)$(pamdir)/pam_sessbox.so $(DESTDIR)$(bindir)/sessctl \
		$(patsubst $B/man/%.5,$(DESTDIR)$(mandir)/man5/%.5,$(filter %.5,$(man))) \
		$(patsubst $B/man/%.8,$(DESTDIR)$(mandir)/man8/%.8,$(filter %.8,$(man)))
	rm -rf $(DESTDIR)$(libexecdir) $(DESTDIR)$(docdir) $(addprefix $(DESTDIR)/var/lib/sessbox/,last-good pam.d)
	@[ ! -d $(DESTDIR)/var/lib/sessbox ] || rmdir $(DESTDIR)/var/lib/sessbox 2>/dev/null || \
		echo "users' data stays in $(DESTDIR)/var/lib/sessbox"

# The Debian packages, in build/deb.
deb:
	tests/prepare build deb
	tests/packages/build $B/deb

demo:
	tests/prepare build demo
	$(MAKE) all
	tests/demo

demo-tree:
	tests/prepare build demo demo-tree
	$(MAKE) all
	tests/demo-tree

check:
	tests/prepare build check
	tests/check

# What takes longer than a check may.
check-all: check
	tests/prepare people ansible deb
	tests/check more
	tests/fuzz/run
	$(MAKE) bench

bench:
	tests/prepare build check bench
	$(MAKE) all
	tests/bench/run

clean:
	rm -rf $B

.PHONY: all programs units install uninstall deb demo demo-tree check check-all bench clean
-include $(wildcard $B/o/*/*.d)
