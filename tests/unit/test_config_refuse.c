/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Everything that refuses a configuration, what iniparser would hide above all. */
#include "config_tree.h"

#include <dlfcn.h>
#include <iniparser/iniparser.h>

/* What stands between config.c and iniparser: it fails as iniparser does without memory. */
static void (*spoil)(dictionary *dict);
static int (*callback)(const char *format, ...);

dictionary *iniparser_load(const char *name)
{
	dictionary *(*real)(const char *) = NULL;
	*(void **)&real = dlsym(RTLD_NEXT, "iniparser_load");
	dictionary *dict = real(name);
	if (spoil)
		spoil(dict);
	return dict;
}

void iniparser_set_error_callback(int (*errback)(const char *, ...))
{
	void (*real)(int (*)(const char *, ...)) = NULL;
	*(void **)&real = dlsym(RTLD_NEXT, "iniparser_set_error_callback");
	callback = errback;
	real(errback);
}

/* Broken texts of sessbox.conf. */
struct broken {
	const char *name;
	const char *text;
	size_t size;
	const char *where; /* ":LINE: [section] Key" as far as it is known */
	const char *what;
};
#define TEXT(text) text, sizeof(text) - 1
#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X512 X64 X64 X64 X64 X64 X64 X64 X64

static const struct broken broken[] = {
	/* Each of these iniparser takes, or loses, without a word (or its getters do). */
	{ "trap: duplicate section", TEXT("[a]\nContain=no\n[b]\n[A]\n"), ":4: [a]",
	  "twice, see line 1" },
	{ "trap: duplicate key", TEXT("[a]\nMemoryMax=1G\nMemoryMax=2G\n"),
	  ":3: [a] MemoryMax:", "twice, see line 2" },
	{ "trap: duplicate key in another case", TEXT("[a]\nMemoryMax=1G\nmemorymax=2G\n"),
	  ":3: [a] memorymax:", "twice" },
	{ "trap: duplicate append", TEXT("[a]\nBindPaths+=/a\nBindPaths+=/b\n"),
	  ":3: [a] BindPaths:", "twice" },
	{ "trap: set after append", TEXT("[a]\nBindPaths+=/a\nBindPaths=/b\n"),
	  ":3: [a] BindPaths:", "twice, see line 2" },
	{ "trap: section with a colon", TEXT("[a:b]\nContain=yes\n"), ":1:", "._-@+, got 'a:b'" },
	{ "trap: section with a blank", TEXT("[ a ]\n"), ":1:", "got ' a '" },
	{ "trap: section with a bracket", TEXT("[a]b]\n"), ":1:", "got 'a]b'" },
	{ "trap: section with UTF-8", TEXT("[\xc3\xa4]\n"), ":1:", "section name" },
	{ "trap: empty section", TEXT("[]\n"), ":1:", "section name" },
	{ "trap: lone bracket", TEXT("[\n"), ":1:", "expected [section] alone" },
	{ "trap: long section", TEXT("[" X64 "x]\n"), ":1:", "at most 64" },
	{ "trap: text after a section", TEXT("[a] # Contain=no\n"),
	  ":1:", "expected [section] alone" },
	{ "trap: # ends a value", TEXT("[a]\nMatchUsers=alice #bob\n"),
	  ":2: [a] MatchUsers:", "quote the whole value" },
	{ "trap: ; ends a value", TEXT("[a]\nMatchUsers=alice;bob\n"),
	  ":2: [a] MatchUsers:", "quote the whole value" },
	{ "trap: # makes a value empty", TEXT("[a]\nMatchUsers=#alice\n"),
	  ":2: [a] MatchUsers:", "quote the whole value" },
	{ "trap: # in a later word's quotes", TEXT("[a]\nMatchUsers=bob \"a#b\"\n"),
	  ":2: [a] MatchUsers:", "quote the whole value" },
	{ "trap: text after a closing quote", TEXT("[a]\nMatchGroups=\"Domain Users\" students\n"),
	  ":2: [a] MatchGroups:", "closing quote (a blank within a name is \\x20)" },
	{ "trap: comment after a closing quote", TEXT("[a]\nMatchUsers='a' # b\n"),
	  ":2: [a] MatchUsers:", "may follow the closing quote" },
	{ "trap: closing quote missing", TEXT("[a]\nMatchUsers=\"alice\n"),
	  ":2: [a] MatchUsers:", "closing quote is missing" },
	{ "trap: backslash in quotes", TEXT("[a]\nMatchUsers=\"a\\x20b\"\n"),
	  ":2: [a] MatchUsers:", "no backslash" },
	{ "trap: continued line", TEXT("[a]\nMatchUsers=alice \\\nbob\n"),
	  ":2: [a]:", "continued by a backslash" },
	{ "trap: continued line with blanks behind", TEXT("[a]\nMatchUsers=a \\ \t\nbob\n"),
	  ":2: [a]:", "continued by a backslash" },
	{ "trap: continued comment", TEXT("# C:\\\n[a]\n"), ":1:", "continued by a backslash" },
	{ "trap: last line of one byte", TEXT("[a]\nx"), ":2: [a]:", "expected Key=value" },
	{ "trap: key before any section", TEXT("Contain=no\n[a]\n"),
	  ":1:", "expected a [section] before" },
	{ "trap: line of 1023 bytes", TEXT("[a]\n# " X512 X512 "\n"),
	  ":2: [a]:", "expected at most 1022 bytes, got 1026" },
	{ "trap: NUL byte", TEXT("[a]\nContain=no\0yes\n"), ":2: [a]:", "byte 0x00" },
	{ "trap: control byte", TEXT("[a]\nContain=\vno\n"), ":2: [a]:", "byte 0x0b" },
	{ "trap: DEL", TEXT("[a]\n#\x7f\n"), ":2: [a]:", "byte 0x7f" },
	{ "trap: carriage return", TEXT("[a]\r\nContain=no\r\n"), ":1:", "carriage return" },
	{ "trap: getint takes 12abc", TEXT("[a]\nTasksMax=12abc\n"),
	  ":2: [a] TasksMax:", "expected a number from 1" },
	{ "trap: getint takes octal and hex", TEXT("[a]\nTasksMax=0x10\n"),
	  ":2: [a] TasksMax:", "got '0x10'" },
	{ "trap: getboolean takes tomorrow", TEXT("[a]\nContain=tomorrow\n"),
	  ":2: [a] Contain:", "expected yes or no, got 'tomorrow'" },
	{ "trap: += is part of the key", TEXT("[a]\nMemoryMax+=1G\n"),
	  ":2: [a] MemoryMax:", "'+=' is for lists" },
	{ "trap: blank before +=", TEXT("[a]\nBindPaths +=/a\n"),
	  ":2: [a]:", "letters and digits before '=', got 'BindPaths '" },

	{ "no key=value", TEXT("[a]\nContain yes\n"), ":2: [a]:", "got 'Contain yes'" },
	{ "no key", TEXT("[a]\n=yes\n"), ":2: [a]:", "expected a key" },
	{ "odd key", TEXT("[a]\nMemory.Max=1G\n"), ":2: [a]:", "got 'Memory.Max'" },
	{ "byte order mark", TEXT("\xef\xbb\xbf[a]\n"), ":1:", "expected Key=value" },
	{ "unknown key", TEXT("[a]\n\n# c\nMemryMax=1G\n"),
	  ":4: [a] MemryMax:", "unknown key, is MemoryMax meant?" },
	{ "key of another program", TEXT("[a]\nEnvironment=A=b\n"),
	  ":2: [a] Environment:", "unknown key, sessbox.conf(5) has" },
	{ "key of a later version", TEXT("[a]\nScopes=session\n"), ":2: [a] Scopes:", "unknown" },
	{ "match key in defaults", TEXT("[Defaults]\nMatchUsers=a\n"),
	  ":2: [defaults] MatchUsers:", "no Match keys" },
	{ "empty scalar", TEXT("[a]\nMemoryMax=\n"), ":2: [a] MemoryMax:", "got ''" },
	{ "size", TEXT("[a]\nMemoryMax=512m\n"), ":2: [a] MemoryMax:",
	  "expected bytes such as 512M, a share of the machine's memory such as 25%, or "
	  "infinity, got '512m'" },
	{ "no memory", TEXT("[a]\nMemoryMax=0\n"), ":2: [a] MemoryMax:", "got '0'" },
	{ "swap", TEXT("[a]\nMemorySwapMax=101%\n"), ":2: [a] MemorySwapMax:", "got '101%'" },
	{ "no tasks", TEXT("[a]\nTasksMax=0\n"), ":2: [a] TasksMax:", "from 1" },
	{ "no cpu", TEXT("[a]\nCPUQuota=0%\n"), ":2: [a] CPUQuota:", "above 0" },
	{ "cpu without %", TEXT("[a]\nCPUQuota=50\n"), ":2: [a] CPUQuota:", "got '50'" },
	{ "no weight", TEXT("[a]\nCPUWeight=0\n"), ":2: [a] CPUWeight:", "1 to 10000" },
	{ "heavy weight", TEXT("[a]\nCPUWeight=10001\n"), ":2: [a] CPUWeight:", "1 to 10000" },
	{ "short timeout", TEXT("[a]\nTimeoutSec=999ms\n"),
	  ":2: [a] TimeoutSec:", "from 1s to 10min, got '999ms'" },
	{ "long timeout", TEXT("[a]\nTimeoutSec=601\n"), ":2: [a] TimeoutSec:", "from 1s" },
	{ "endless timeout", TEXT("[a]\nTimeoutSec=infinity\n"), ":2: [a] TimeoutSec:", "" },
	{ "share of sessions", TEXT("[a]\nSessionsMax=10%\n"), ":2: [a] SessionsMax:", "from 1" },
	{ "no sessions", TEXT("[a]\nSessionsMax=0\n"), ":2: [a] SessionsMax:", "from 1" },
	{ "unknown scope", TEXT("[a]\nScope=login\n"), ":2: [a] Scope:", "user or session" },
	{ "no runtime", TEXT("[a]\nRuntimeMaxSec=0\n"), ":2: [a] RuntimeMaxSec:", "from 1s" },
	{ "endless lingering", TEXT("[a]\nLingerSec=infinity\n"), ":2: [a] LingerSec:", "30d" },
	{ "endless stop", TEXT("[a]\nTimeoutStopSec=0\n"), ":2: [a] TimeoutStopSec:", "100ms" },
	{ "choice", TEXT("[a]\nOnFailure=maybe\n"), ":2: [a] OnFailure:", "deny or allow" },
	{ "home", TEXT("[a]\nHome=none\n"), ":2: [a] Home:", "expected bind, private or tmpfs" },
	{ "tmpfs option", TEXT("[a]\nTemporaryFileSystem=/a:suid\n"),
	  ":2: [a] TemporaryFileSystem:", "size=, nr_inodes=, mode=" },
	{ "closed root", TEXT("[a]\nInaccessiblePaths=/\n"),
	  ":2: [a] InaccessiblePaths:", "absolute paths but /" },
	{ "read-only relative", TEXT("[a]\nReadOnlyPaths=-a\n"), ":2: [a] ReadOnlyPaths:", "" },
	{ "a program that is not in the table", TEXT("[a]\nProxyCommands=crontab sudo\n"),
	  ":2: [a] ProxyCommands:", "at, crontab, passwd or quota, got 'sudo'" },
	{ "a program by another of its names", TEXT("[a]\nProxyCommands=atq\n"),
	  ":2: [a] ProxyCommands:", "" },
	{ "device elsewhere", TEXT("[a]\nDeviceAllow=/srv/fuse\n"),
	  ":2: [a] DeviceAllow:", "device nodes such as /dev/fuse" },
	{ "all devices", TEXT("[a]\nDeviceAllow=/dev\n"), ":2: [a] DeviceAllow:", "" },
	{ "device with other rights", TEXT("[a]\nDeviceAllow=/dev/fuse rx\n"),
	  ":2: [a] DeviceAllow:", "letters of rwm behind it, got '/dev/fuse rx'" },
	{ "rights without a device", TEXT("[a]\nDeviceAllow+=rw\n"), ":2: [a] DeviceAllow:", "" },
	{ "protection", TEXT("[a]\nProtectProc=noaccess\n"),
	  ":2: [a] ProtectProc:", "default or invisible" },
	{ "relative root", TEXT("[a]\nRootDirectory=srv\n"),
	  ":2: [a] RootDirectory:", "expected an absolute path without" },
	{ "root with ..", TEXT("[a]\nRootDirectory=/srv/../x\n"),
	  ":2: [a] RootDirectory:", "at the end, got '/srv/../x'" },
	{ "root with an end", TEXT("[a]\nRootDirectory=/srv/\n"), ":2: [a] RootDirectory:", "" },
	{ "overlay", TEXT("[a]\nRootOverlay=yes\n"),
	  ":2: [a] RootOverlay:", "no, tmpfs or persistent, got 'yes'" },
	{ "small overlay", TEXT("[a]\nRootOverlaySize=1023K\n"), ":2: [a] RootOverlaySize:", "" },
	{ "endless overlay", TEXT("[a]\nRootOverlaySize=infinity\n"),
	  ":2: [a] RootOverlaySize:", "from 1M to 16T" },
	{ "two roots", TEXT("[a]\nRootDirectory=/ /\n"), ":2: [a] RootDirectory:", "got '/ /'" },
	{ "relative bind", TEXT("[a]\nBindPaths=/a srv\n"), ":2: [a] BindPaths:", "absolute" },
	{ "one word of many", TEXT("[a]\nBindPaths=/" X64 " /b srv /c\n"),
	  ":2: [a] BindPaths:", "at the end, got 'srv'" },
	{ "bind with ..", TEXT("[a]\nBindReadOnlyPaths=/a/../b\n"),
	  ":2: [a] BindReadOnlyPaths:", "without . or .." },
	{ "endless tmp", TEXT("[a]\nTmpSize=infinity\n"), ":2: [a] TmpSize:", "MemoryMax" },
	{ "host name", TEXT("[a]\nHostname=%h\n"), ":2: [a] Hostname:", "%u, %U, %H or %%" },
	{ "cut host name", TEXT("[a]\nHostname=x%\n"), ":2: [a] Hostname:", "got 'x%'" },
	{ "service with a path", TEXT("[a]\nAllowServices=../x\n"),
	  ":2: [a] AllowServices:", "names of PAM services" },
	{ "excluded service", TEXT("[a]\nAllowServices=!x\n"), ":2: [a] AllowServices:", "" },
	{ "empty user", TEXT("[a]\nMatchUsers=a ''\n"), ":2: [a] MatchUsers:", "names of users" },
	{ "users with a comma", TEXT("[a]\nMatchUsers=ann, bob\n"),
	  ":2: [a] MatchUsers:", "separated by blanks, each may have a leading !, got 'ann,'" },
	{ "everybody", TEXT("[a]\nMatchUsers=*\n"), ":2: [a] MatchUsers:", "got '*'" },
	{ "a pattern", TEXT("[a]\nMatchGroups=stud?nts\n"), ":2: [a] MatchGroups:",
	  "names of groups separated by blanks, each may have a leading !, got 'stud?nts'" },
	{ "groups with a comma", TEXT("[a]\nMatchGroups=a ,b\n"),
	  ":2: [a] MatchGroups:", "got ',b'" },
	{ "services with a comma", TEXT("[a]\nAllowServices=sshd,su\n"),
	  ":2: [a] AllowServices:", "separated by blanks, got 'sshd,su'" },
	{ "excluding nobody", TEXT("[a]\nMatchGroups=!\n"), ":2: [a] MatchGroups:", "groups" },
	{ "uid range", TEXT("[a]\nMatchUIDs=3-2\n"), ":2: [a] MatchUIDs:", "2000-2999" },
	{ "uid -1", TEXT("[a]\nMatchUIDs=4294967295\n"), ":2: [a] MatchUIDs:", "2000-2999" },
	{ "words after a quote", TEXT("[a]\nMatchUsers=a \"b\"c\n"), ":2: [a] MatchUsers:", "" },
	{ "container key by service",
	  TEXT("[a]\nMatchUsers=a\nMatchServices=cron\nPrivateTmp=no\n"),
	  ":4: [a] PrivateTmp:", "a class with MatchServices cannot set it" },
	{ "budget by service", TEXT("[a]\nMatchUsers=a\nMatchServices=cron\nClassTasksMax=7\n"),
	  ":4: [a] ClassTasksMax:", "a class with MatchServices cannot set it" },
	{ "budget of one user", TEXT("[limit-7]\nMatchUIDs=7\nClassTasksMax=7\n"),
	  ":3: [limit-7] ClassTasksMax:", "no budget" },
	{ "limit by service", TEXT("[a]\nMemoryMax=1G\nMatchUsers=a\nMatchServices=cron\n"),
	  ":2: [a] MemoryMax:", "MatchServices" },
	{ "services alone", TEXT("[a]\nMatchServices=cron\nContain=no\n"),
	  ":2: [a] MatchServices:", "matches nobody" },
	{ "exclusions alone", TEXT("[a]\nMatchUsers=!bob\nContain=yes\n"),
	  ":2: [a] MatchUsers:", "matches nobody" },
};

static void refuse_broken(void **state)
{
	const struct broken *b = *state;
	const char *parts[] = { "/sessbox.conf", b->where, b->what };
	struct tree t = make_tree();
	write_bytes(&t, SB_CONFIG_FILE, b->text, b->size);
	refuse(&t, parts, SB_ARRAY_SIZE(parts));
	drop_tree(&t);
}

/* What iniparser may do to a good file. */
static void drop_key(dictionary *dict)
{
	iniparser_unset(dict, "a:memorymax");
}

static void add_key(dictionary *dict)
{
	iniparser_set(dict, "a:tasksmax", "1");
}

static void drop_section(dictionary *dict)
{
	iniparser_unset(dict, "a");
}

static void rename_key(dictionary *dict)
{
	iniparser_unset(dict, "a:memorymax");
	iniparser_set(dict, "b:memorymax", "1G");
}

static void change_value(dictionary *dict)
{
	iniparser_set(dict, "a:memorymax", "10G");
}

static void lose_value(dictionary *dict)
{
	iniparser_set(dict, "a:memorymax", NULL);
}

static void complain(dictionary *dict)
{
	(void)dict;
	assert_non_null(callback);
	callback("iniparser: memory allocation failure\n");
}

static const struct spoiled {
	const char *name;
	void (*spoil)(dictionary *dict);
	const char *what;
} spoiled[] = {
	{ "trap: a key is lost", drop_key, "expected 2 sections and keys, iniparser found 1" },
	{ "trap: a key too many", add_key, "expected 2 sections and keys, iniparser found 3" },
	{ "trap: a section is lost", drop_section, "iniparser found 1" },
	{ "trap: a key gets into another section", rename_key, "does not find this line's value" },
	{ "trap: a value is another", change_value, ":2: [a] MemoryMax: iniparser does not find" },
	{ "trap: a value is lost", lose_value, ":2: [a] MemoryMax: iniparser does not find" },
	{ "trap: a complaint with a dictionary", complain, "iniparser cannot read it" },
};

static void refuse_spoiled(void **state)
{
	const struct spoiled *s = *state;
	const char *parts[] = { "/sessbox.conf", s->what };
	struct tree t = make_tree();
	write_text(&t, SB_CONFIG_FILE, "[a]\nMemoryMax=1G\n");
	spoil = s->spoil;
	refuse(&t, parts, SB_ARRAY_SIZE(parts));
	spoil = NULL;
	assert_null(callback); /* the default one is back */
	drop_tree(&t);
}

/* What may be wrong with a file or directory itself. */
static void break_link(const struct tree *t)
{
	write_text(t, "real", "[a]\n");
	assert_int_equal(unlinkat(t->fd, SB_CONFIG_FILE, 0), 0);
	assert_int_equal(symlinkat("real", t->fd, SB_CONFIG_FILE), 0);
}

static void break_fifo(const struct tree *t)
{
	assert_int_equal(mkfifoat(t->fd, "sessbox.d/x.conf", 0600), 0);
}

static void break_directory(const struct tree *t)
{
	assert_int_equal(mkdirat(t->fd, "sessbox.d/x.conf", 0755), 0);
}

static void break_size(const struct tree *t)
{
	write_text(t, "run/x.conf", "");
	int fd = openat(t->fd, "run/x.conf", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, SB_CONFIG_FILE_MAX + 1), 0);
	close(fd);
}

static void break_group(const struct tree *t)
{
	assert_int_equal(fchmodat(t->fd, SB_CONFIG_FILE, 0664, 0), 0);
}

static void break_others(const struct tree *t)
{
	write_text(t, "run/x.conf", "");
	assert_int_equal(fchmodat(t->fd, "run/x.conf", 0646, 0), 0);
}

static void break_conf_mode(const struct tree *t)
{
	assert_int_equal(fchmod(t->fd, 0777), 0);
}

static void break_dropin_mode(const struct tree *t)
{
	assert_int_equal(fchmodat(t->fd, "sessbox.d", 0775, 0), 0);
}

static void break_run_mode(const struct tree *t)
{
	assert_int_equal(fchmodat(t->fd, "run", 01777, 0), 0);
}

static void break_run_link(const struct tree *t)
{
	assert_int_equal(unlinkat(t->fd, "run", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("sessbox.d", t->fd, "run"), 0);
}

static void break_main(const struct tree *t)
{
	assert_int_equal(unlinkat(t->fd, SB_CONFIG_FILE, 0), 0);
}

static void break_dropin_text(const struct tree *t)
{
	write_text(t, "sessbox.d/x.conf", "\nx\n");
}

static const struct unfit {
	const char *name;
	void (*make)(const struct tree *t);
	const char *where;
	const char *what;
} unfit[] = {
	{ "symbolic link", break_link, "/sessbox.conf: ", "got a symbolic link" },
	{ "FIFO", break_fifo, "/sessbox.d/x.conf: ", "expected a regular file" },
	{ "directory as file", break_directory, "/sessbox.d/x.conf: ", "regular file" },
	{ "too large", break_size, "/run/x.conf: ", "expected at most 1048576 bytes" },
	{ "group may write", break_group, "/sessbox.conf: ", "by its owner alone, got mode 0664" },
	{ "others may write", break_others, "/run/x.conf: ", "got mode 0646" },
	{ "directory: others may write", break_conf_mode, ": ", "got mode 0777" },
	{ "drop-ins: group may write", break_dropin_mode, "/sessbox.d: ", "got mode 0775" },
	{ "runtime: sticky is not enough", break_run_mode, "/run: ", "got mode 1777" },
	{ "runtime: symbolic link", break_run_link, "/run'", "open directory" },
	{ "no sessbox.conf", break_main, "open '", "/sessbox.conf': No such file" },
	{ "a drop-in spoils all", break_dropin_text, "/sessbox.d/x.conf:2:", "got 'x'" },
};

static void refuse_unfit(void **state)
{
	const struct unfit *u = *state;
	const char *parts[] = { u->where, u->what };
	struct tree t = make_tree();
	write_text(&t, SB_CONFIG_FILE, "[a]\n");
	u->make(&t);
	refuse(&t, parts, SB_ARRAY_SIZE(parts));
	drop_tree(&t);
}

static void refuse_owner(void **state)
{
	(void)state;
	struct tree t = make_tree();
	struct sb_config *config = NULL;
	struct sb_err err = { 0 };
	write_text(&t, SB_CONFIG_FILE, "[a]\n");
	assert_int_equal(sb_config_load_as(t.path, t.run, geteuid() + 1, &config, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "expected to be owned by uid"));
	/* The public door knows root alone. */
	assert_int_equal(sb_config_load(t.path, t.run, &config, &err),
			 geteuid() == 0 ? 0 : -EINVAL);
	sb_config_free(config);
	drop_tree(&t);
}

int main(void)
{
	struct CMUnitTest tests[SB_ARRAY_SIZE(broken) + SB_ARRAY_SIZE(spoiled) +
				SB_ARRAY_SIZE(unfit) + 1] = { cmocka_unit_test(refuse_owner) };
	size_t n = 1;
	for (size_t i = 0; i < SB_ARRAY_SIZE(broken); i++)
		tests[n++] = (struct CMUnitTest){ .name = broken[i].name,
						  .test_func = refuse_broken,
						  .initial_state = (void *)&broken[i] };
	for (size_t i = 0; i < SB_ARRAY_SIZE(spoiled); i++)
		tests[n++] = (struct CMUnitTest){ .name = spoiled[i].name,
						  .test_func = refuse_spoiled,
						  .initial_state = (void *)&spoiled[i] };
	for (size_t i = 0; i < SB_ARRAY_SIZE(unfit); i++)
		tests[n++] = (struct CMUnitTest){ .name = unfit[i].name,
						  .test_func = refuse_unfit,
						  .initial_state = (void *)&unfit[i] };
	return cmocka_run_group_tests_name("config_refuse", tests, NULL, NULL);
}
