/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of CPUs, rates of devices, and access to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "sessbox/parse.h"

static const struct {
	const char *text;
	int error;
	const char *printed;
} cpus[] = {
	{ "", 0, "" },
	{ "  , ", 0, "" },
	{ "0", 0, "0" },
	{ "0-3", 0, "0-3" },
	{ "3,1 2\t0", 0, "0-3" },
	{ "0,2-2,4", 0, "0,2,4" },
	{ "63-64", 0, "63-64" },
	{ "8191", 0, "8191" },
	{ "0-8191", 0, "0-8191" },
	{ "8192", -ERANGE, NULL },
	{ "3-1", -ERANGE, NULL },
	{ "0-99999999999999999999", -EINVAL, NULL },
	{ "-1", -EINVAL, NULL },
	{ "1-", -EINVAL, NULL },
	{ "0-1-2", -EINVAL, NULL },
	{ "a", -EINVAL, NULL },
	{ "0x1", -EINVAL, NULL },
	{ "0;1", -EINVAL, NULL },
};

static void sets_of_cpus(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cpus); i++) {
		struct sb_cpus set = { .bits = { 1ULL << 63 } };
		char buf[64];
		assert_int_equal(sb_parse_cpus(cpus[i].text, &set), cpus[i].error);
		sb_print_cpus(buf, sizeof(buf), &set);
		assert_string_equal(buf, cpus[i].error ? "63" : cpus[i].printed);
		assert_int_equal(sb_cpus_empty(&set), !*buf);
	}
}

static const struct {
	const char *text;
	int error;
	size_t n;
	const char *device; /* the last */
	uint64_t value;
	const char *printed;
} rates[] = {
	{ "", 0, 0, NULL, 0, NULL },
	{ "/dev/sda 5M", 0, 1, "/dev/sda", 5000000, "5M" },
	{ "/dev/sda 1", 0, 1, "/dev/sda", 1, "1" },
	{ "/ 1500", 0, 1, "/", 1500, "1500" },
	{ "/dev/sda 3K /home 2G", 0, 2, "/home", 2000000000, "2G" },
	{ "/dev/sda 3K /dev/sda 2T", 0, 1, "/dev/sda", 2000000000000, "2T" },
	{ "/dev/sda infinity", 0, 1, "/dev/sda", SB_INFINITY, "infinity" },
	{ "'/a b' 1M", 0, 1, "/a b", 1000000, "1M" },
	{ "/dev/sda", -EINVAL, 0, NULL, 0, NULL },
	{ "/dev/sda 1M /dev/sdb", -EINVAL, 0, NULL, 0, NULL },
	{ "sda 1M", -EINVAL, 0, NULL, 0, NULL },
	{ "/dev/../sda 1M", -EINVAL, 0, NULL, 0, NULL },
	{ "5M /dev/sda", -EINVAL, 0, NULL, 0, NULL },
	{ "/dev/sda 0", -ERANGE, 0, NULL, 0, NULL },
	{ "/dev/sda 1m", -EINVAL, 0, NULL, 0, NULL },
	{ "/dev/sda 1MB", -EINVAL, 0, NULL, 0, NULL },
	{ "/dev/sda 10%", -EINVAL, 0, NULL, 0, NULL },
	{ "/dev/sda -1", -EINVAL, 0, NULL, 0, NULL },
	{ "/dev/sda 18446744073709551615", -ERANGE, 0, NULL, 0, NULL },
	{ "/dev/sda 18446744073709551T", -ERANGE, 0, NULL, 0, NULL },
};

static void rates_of_devices(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rates); i++) {
		struct sb_rates found = { 0 };
		char buf[32];
		assert_int_equal(sb_parse_rates(rates[i].text, &found), rates[i].error);
		assert_int_equal(found.n, rates[i].n);
		if (found.n == 0)
			continue;
		const struct sb_rate *last = &found.v[found.n - 1];
		assert_string_equal(last->device, rates[i].device);
		assert_int_equal(last->value, rates[i].value);
		sb_print_rate(buf, sizeof(buf), last->value);
		assert_string_equal(buf, rates[i].printed);
		sb_rates_clear(&found);
	}
}

#define RW (SB_DEVICE_READ | SB_DEVICE_WRITE)

static const struct {
	const char *text;
	int error;
	size_t n;
	struct sb_device last;
} devices[] = {
	{ "", 0, 0, { 0 } },
	{ "/dev/fuse", 0, 1, { (char[]){ "/dev/fuse" }, RW, false } },
	{ "-/dev/fuse", 0, 1, { (char[]){ "/dev/fuse" }, RW, true } },
	{ "/dev/fuse r", 0, 1, { (char[]){ "/dev/fuse" }, SB_DEVICE_READ, false } },
	{ "/dev/fuse mwr", 0, 1, { (char[]){ "/dev/fuse" }, SB_DEVICE_ACCESS_ALL, false } },
	{ "-/dev/a w /dev/dri/b", 0, 2, { (char[]){ "/dev/dri/b" }, RW, false } },
	{ "/dev/b /dev/a -/dev/b r", 0, 2, { (char[]){ "/dev/a" }, RW, false } },
	{ "'/dev/a b' w", 0, 1, { (char[]){ "/dev/a b" }, SB_DEVICE_WRITE, false } },
	{ "/dev", -EINVAL, 0, { 0 } },
	{ "/dev/", -EINVAL, 0, { 0 } },
	{ "/dev/../fuse", -EINVAL, 0, { 0 } },
	{ "/srv/fuse", -EINVAL, 0, { 0 } },
	{ "fuse", -EINVAL, 0, { 0 } },
	{ "rw", -EINVAL, 0, { 0 } },
	{ "rw /dev/fuse", -EINVAL, 0, { 0 } },
	{ "/dev/fuse rw rw", -EINVAL, 0, { 0 } },
	{ "/dev/fuse rr", -EINVAL, 0, { 0 } },
	{ "/dev/fuse x", -EINVAL, 0, { 0 } },
	{ "/dev/fuse \"\"", -EINVAL, 0, { 0 } },
	{ "--/dev/fuse", -EINVAL, 0, { 0 } },
	{ "/dev/a\\x0a", -EINVAL, 0, { 0 } },
};

static void access_to_devices(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(devices); i++) {
		struct sb_devices found = { 0 };
		const struct sb_device *last = &devices[i].last;
		assert_int_equal(sb_parse_devices(devices[i].text, &found), devices[i].error);
		assert_int_equal(found.n, devices[i].n);
		assert_int_equal(found.filtered, !devices[i].error);
		if (found.n > 0) {
			assert_string_equal(found.v[found.n - 1].path, last->path);
			assert_int_equal(found.v[found.n - 1].access, last->access);
			assert_int_equal(found.v[found.n - 1].optional, last->optional);
		}
		sb_devices_clear(&found);
	}
}

static void letters_of_access(void **state)
{
	(void)state;
	for (unsigned int access = 1; access <= SB_DEVICE_ACCESS_ALL; access++) {
		char text[SB_ACCESS_MAX];
		unsigned int found = 0;
		sb_print_access(text, access);
		assert_int_equal(sb_parse_access(text, &found), 0);
		assert_int_equal(found, access);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_of_cpus),
		cmocka_unit_test(rates_of_devices),
		cmocka_unit_test(access_to_devices),
		cmocka_unit_test(letters_of_access),
	};
	return cmocka_run_group_tests_name("parse_limits", tests, NULL, NULL);
}
