/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rows.h"
#include "sessbox/parse.h"
#include "signame.h"
#include "table.h"

struct row {
	const char *text;
	uint64_t count, bytes, time;
	struct ctl_shared shared;
	int flag;
	struct ctl_amount amount;
	const struct sb_strv *list;
};

static const struct ctl_column columns[] = {
	{ "text", CTL_TEXT, offsetof(struct row, text), 0 },
	{ "count", CTL_COUNT, offsetof(struct row, count), CTL_RIGHT },
	{ "bytes", CTL_BYTES, offsetof(struct row, bytes), CTL_RIGHT },
	{ "shared-bytes", CTL_SHARED, offsetof(struct row, shared), CTL_RIGHT },
	{ "time", CTL_TIME, offsetof(struct row, time), 0 },
	{ "flag", CTL_BOOL, offsetof(struct row, flag), 0 },
	{ "amount", CTL_LIMIT, offsetof(struct row, amount), 0 },
	{ "list", CTL_LIST, offsetof(struct row, list), 0 },
};
#define N SB_ARRAY_SIZE(columns)

static struct ctl_table table_of(const struct row *rows, size_t n)
{
	return (struct ctl_table){ "rows", columns, N, rows, n, sizeof(*rows) };
}

/* ---- -o ---- */

static void test_choose(void **state)
{
	static const struct {
		const char *names;
		int result;
		size_t n;
		size_t first;
		const char *bad;
	} cases[] = {
		{ NULL, 0, N, 0, NULL },
		{ "text", 0, 1, 0, NULL },
		{ "bytes,text", 0, 2, 2, NULL },
		{ "BYTES,Text,bytes", 0, 3, 2, NULL },
		{ "shared-bytes", 0, 1, 3, NULL },
		{ "", -EINVAL, 0, 0, "" },
		{ "text,", -EINVAL, 0, 0, "" },
		{ ",text", -EINVAL, 0, 0, "" },
		{ "tex", -EINVAL, 0, 0, "tex" },
		{ "texts", -EINVAL, 0, 0, "texts" },
		{ "text,nix,bytes", -EINVAL, 0, 0, "nix" },
		{ " text", -EINVAL, 0, 0, " text" },
	};
	const struct ctl_table table = table_of(NULL, 0);
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct ctl_choice choice = { .n = 0 };
		char bad[32] = "?";
		int r = ctl_choose(&table, cases[i].names, &choice, bad, sizeof(bad));
		if (r != cases[i].result || choice.n != cases[i].n)
			fail_msg("'%s': %d, %zu columns", cases[i].names, r, choice.n);
		if (r == 0)
			assert_int_equal(choice.v[0], cases[i].first);
		else
			assert_string_equal(bad, cases[i].bad);
	}
}

static void test_choose_too_many(void **state)
{
	char names[8 * CTL_COLUMNS_MAX] = "text", bad[32];
	struct ctl_choice choice;
	const struct ctl_table table = table_of(NULL, 0);
	(void)state;
	for (size_t i = 1; i < CTL_COLUMNS_MAX; i++)
		strcat(names, ",text");
	assert_int_equal(ctl_choose(&table, names, &choice, bad, sizeof(bad)), 0);
	strcat(names, ",text");
	assert_int_equal(ctl_choose(&table, names, &choice, bad, sizeof(bad)), -EINVAL);
}

/* ---- cells ---- */

static void test_sizes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0B" },	       { 1, "1B" },
		{ 1023, "1023B" },     { 1024, "1K" },
		{ 1536, "1.5K" },      { 1048575, "1M" }, /* not 1024K */
		{ 12897485, "12.3M" }, { 512ULL << 20, "512M" },
		{ 1ULL << 40, "1T" },  { UINT64_MAX - 1, "16E" },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		char buf[32];
		ctl_print_size(buf, sizeof(buf), cases[i].bytes);
		assert_string_equal(buf, cases[i].text);
	}
}

static void test_cells(void **state)
{
	char *words[] = { (char *)"one", (char *)"two three" };
	const struct sb_strv list = { words, 2 };
	const struct row row = { .text = "some text",
				 .count = 7,
				 .bytes = 2048,
				 .time = 1795558381,
				 .shared = { 4096, false },
				 .flag = 1,
				 .amount = { 500000, SB_TYPE_QUOTA, true, true, NULL },
				 .list = &list };
	static const char *const want[2][N] = {
		{ "some text", "7", "2K", "4K", "2026-11-24 22:13", "yes", "50%",
		  "one; two three" },
		{ "some text", "7", "2K", "4K", "2026-11-24T22:13", "yes", "50%",
		  "one; two three" },
	};
	(void)state;
	for (int raw = 0; raw < 2; raw++) {
		for (size_t i = 0; i < N; i++) {
			char buf[CTL_CELL_MAX];
			ctl_cell_text(&columns[i], &row, raw, buf);
			assert_string_equal(buf, want[raw][i]);
		}
	}
}

static void test_nothing_is_a_dash(void **state)
{
	const struct row row = { .count = SB_INFINITY,
				 .bytes = SB_INFINITY,
				 .shared = { 4096, true },
				 .flag = -1,
				 .amount = { 5, SB_TYPE_SIZE, true, false, NULL } };
	(void)state;
	for (size_t i = 0; i < N; i++) {
		char buf[CTL_CELL_MAX];
		ctl_cell_text(&columns[i], &row, false, buf);
		assert_string_equal(buf, "-");
	}
}

static void test_amounts(void **state)
{
	static const struct {
		struct ctl_amount amount;
		const char *text;
	} cases[] = {
		{ { SB_INFINITY, SB_TYPE_SIZE, true, true, NULL }, "infinity" },
		{ { 512ULL << 20, SB_TYPE_SIZE, true, true, NULL }, "512M" },
		{ { 100, SB_TYPE_COUNT, true, true, NULL }, "100" },
		{ { 125000, SB_TYPE_QUOTA, true, true, NULL }, "12.5%" },
		{ { 2000000, SB_TYPE_QUOTA, true, true, NULL }, "200%" },
		{ { 300, SB_TYPE_WEIGHT, true, true, NULL }, "300" },
		{ { 300, SB_TYPE_WEIGHT, false, true, NULL }, "unsupported" },
		{ { 300, SB_TYPE_WEIGHT, true, false, NULL }, "-" },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		char buf[CTL_CELL_MAX];
		const struct row row = { .amount = cases[i].amount };
		ctl_cell_text(&columns[6], &row, false, buf);
		assert_string_equal(buf, cases[i].text);
	}
}

static void test_json_of_cells(void **state)
{
	char *words[] = { (char *)"one" };
	const struct sb_strv list = { words, 1 };
	const struct row rows[2] = {
		{ .text = "a",
		  .count = 7,
		  .bytes = 1,
		  .time = 1795558381,
		  .shared = { 2, true },
		  .flag = 0,
		  .amount = { 9, SB_TYPE_COUNT, true, true, NULL },
		  .list = &list },
		{ .count = SB_INFINITY,
		  .bytes = SB_INFINITY,
		  .shared = { SB_INFINITY, false },
		  .flag = -1,
		  .amount = { SB_INFINITY, SB_TYPE_COUNT, true, true, NULL } },
	};
	const struct ctl_table table = table_of(rows, 2);
	const struct ctl_choice choice = { .v = { 0, 1, 2, 3, 4, 5, 6, 7 }, .n = N };
	static const char want[] =
		"{\n  \"rows\": [\n    {\n      \"text\": \"a\",\n      \"count\": 7,\n"
		"      \"bytes\": 1,\n      \"shared-bytes\": 2,\n"
		"      \"time\": \"2026-11-24T22:13:01+00:00\",\n      \"flag\": false,\n"
		"      \"amount\": 9,\n      \"list\": [\n        \"one\"\n      ]\n    },\n    {\n"
		"      \"text\": null,\n      \"count\": null,\n      \"bytes\": null,\n"
		"      \"shared-bytes\": null,\n      \"time\": null,\n      \"flag\": null,\n"
		"      \"amount\": null,\n      \"list\": []\n    }\n  ]\n}\n";
	struct ctl_json j;
	char *text = NULL;
	size_t size = 0;
	(void)state;
	ctl_json_begin(&j, open_memstream(&text, &size));
	ctl_table_json(&j, &table, &choice);
	ctl_json_end(&j);
	fclose(j.out);
	assert_string_equal(text, want);
	free(text);
}

/* ---- limits as rows ---- */

static void test_limit_rows_live(void **state)
{
	struct ctl_limit rows[CTL_LIMITS_MAX];
	struct ctl_sources sources;
	struct sb_rate rates[] = { { (char *)"/dev/a", 5000000 }, { (char *)"8:16", 1 } };
	struct sb_device devices[] = {
		{ (char *)"/dev/b", SB_DEVICE_READ | SB_DEVICE_WRITE, false },
		{ (char *)"c 10:229", SB_DEVICE_READ, false },
	};
	const struct ctl_user user = {
		.has_cgroup = true,
		.usage = { .memory = 10, .swap = SB_INFINITY, .tasks = 3 },
		.limits = { .memory_max = 100,
			    .memory_high = 90,
			    .memory_swap_max = 200,
			    .tasks_max = 30,
			    .cpu_quota = 400,
			    .cpu_weight = 50,
			    .io_weight = 60,
			    .allowed_cpus = { .bits = { 0xd } },
			    .io_read_bandwidth_max = { rates, 2 },
			    .devices = { devices, 2, true } },
		.unsupported = SB_LIMIT_BIT(SB_MEMORY_SWAP_MAX),
		.unseen = SB_LIMIT_BIT(SB_IO_READ_IOPS_MAX),
	};
	static const struct {
		const char *name;
		uint64_t value;
		const char *text;
		int supported;
		bool known, usage_known;
	} want[SB_LIMITS_N] = {
		{ "MemoryMax", 100, NULL, 1, true, true },
		{ "MemoryHigh", 90, NULL, 1, true, false },
		{ "MemorySwapMax", SB_INFINITY, NULL, 0, true, false },
		{ "TasksMax", 30, NULL, 1, true, true },
		{ "CPUQuota", 400, NULL, 1, true, false },
		{ "CPUWeight", 50, NULL, 1, true, false },
		{ "AllowedCPUs", SB_INFINITY, "0,2-3", 1, true, false },
		{ "IOWeight", 60, NULL, 1, true, false },
		{ "IOReadBandwidthMax", SB_INFINITY, "/dev/a 5M 8:16 1", 1, true, false },
		{ "IOWriteBandwidthMax", SB_INFINITY, "", 1, false, false },
		{ "IOReadIOPSMax", SB_INFINITY, NULL, -1, false, false },
		{ "IOWriteIOPSMax", SB_INFINITY, "", 1, false, false },
		{ "DeviceAllow", SB_INFINITY, "/dev/b rw c 10:229 r", 1, true, false },
	};
	(void)state;
	ctl_limit_rows(&user, NULL, NULL, rows, &sources);
	for (size_t i = 0; i < SB_LIMITS_N; i++) {
		assert_string_equal(rows[i].name, want[i].name);
		assert_int_equal(rows[i].value.value, want[i].value);
		assert_int_equal(rows[i].value.known, want[i].known);
		assert_int_equal(rows[i].supported, want[i].supported);
		assert_int_equal(rows[i].usage.known, want[i].usage_known);
		assert_null(rows[i].source);
		if (want[i].text)
			assert_string_equal(rows[i].value.text, want[i].text);
		else
			assert_null(rows[i].value.text);
	}
	assert_int_equal(rows[SB_MEMORY_MAX].usage.value, 10);
	assert_int_equal(rows[SB_TASKS_MAX].usage.value, 3);
}

static void test_limit_rows_of_nobody(void **state)
{
	struct ctl_limit rows[CTL_LIMITS_MAX];
	struct ctl_sources sources;
	(void)state;
	ctl_limit_rows(NULL, NULL, NULL, rows, &sources);
	for (size_t i = 0; i < SB_LIMITS_N; i++) {
		const struct sb_key *key = sb_key_find(rows[i].name);
		assert_non_null(key);
		assert_true(key->kind == SB_KEY_LIMIT || i == SB_DEVICE_ALLOW);
		assert_false(rows[i].value.known);
	}
}

/* A cgroup without a filter does not read as one that allows nothing besides the usual. */
static void test_limit_rows_tell_of_no_filter(void **state)
{
	struct ctl_limit rows[CTL_LIMITS_MAX];
	struct ctl_sources sources;
	(void)state;
	for (int filtered = 0; filtered < 2; filtered++) {
		const struct ctl_user user = { .has_cgroup = true,
					       .limits = { .devices.filtered = filtered } };
		ctl_limit_rows(&user, NULL, NULL, rows, &sources);
		assert_string_equal(rows[SB_DEVICE_ALLOW].value.text, filtered ? "" : "all");
		assert_int_equal(rows[SB_DEVICE_ALLOW].value.known, !filtered);
	}
}

/* A limit that is added to the keys has to be shown, too. */
static void test_every_limit_key_has_a_row(void **state)
{
	size_t n = 0;
	(void)state;
	for (size_t i = 0; i < sb_keys_n; i++)
		n += sb_keys[i].kind == SB_KEY_LIMIT;
	assert_int_equal(n, SB_LIMITS_N - 1); /* and DeviceAllow */
}

/* ---- names of signals ---- */

static void test_signals(void **state)
{
	static const struct {
		const char *text;
		int sig;
	} cases[] = {
		{ "TERM", 15 },
		{ "SIGTERM", 15 },
		{ "term", 15 },
		{ "sigKill", 9 },
		{ "USR1", 10 },
		{ "15", 15 },
		{ "1", 1 },
		{ "64", 64 },
		{ "RTMIN", 34 },
		{ "RTMIN+3", 37 },
		{ "SIGRTMAX-1", 63 },
		{ "RTMAX", 64 },
		{ "", -EINVAL },
		{ "0", -EINVAL },
		{ "65", -EINVAL },
		{ "-9", -EINVAL },
		{ "9x", -EINVAL },
		{ "NIX", -EINVAL },
		{ "SIG", -EINVAL },
		{ "TERM ", -EINVAL },
		{ "15 ", -EINVAL },
		{ "RTMIN+99", -EINVAL },
		{ "RTMIN-1", -EINVAL },
		{ "RTMAX+1", -EINVAL },
		{ "RTMIN+", -EINVAL },
		{ "99999999999999999999", -EINVAL },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++)
		if (ctl_signal_parse(cases[i].text) != cases[i].sig)
			fail_msg("'%s' is %d", cases[i].text, ctl_signal_parse(cases[i].text));
}

static int set_zone(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choose),
		cmocka_unit_test(test_choose_too_many),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_cells),
		cmocka_unit_test(test_nothing_is_a_dash),
		cmocka_unit_test(test_amounts),
		cmocka_unit_test(test_json_of_cells),
		cmocka_unit_test(test_limit_rows_live),
		cmocka_unit_test(test_limit_rows_of_nobody),
		cmocka_unit_test(test_limit_rows_tell_of_no_filter),
		cmocka_unit_test(test_every_limit_key_has_a_row),
		cmocka_unit_test(test_signals),
	};
	return cmocka_run_group_tests(tests, set_zone, NULL);
}
