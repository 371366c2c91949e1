/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/capability.h>

#include "sessbox/parse.h"

#define BIT(cap) (1ULL << (cap))
#define ALL (BIT(CAP_CHECKPOINT_RESTORE + 1) - 1)

static const struct {
	const char *text;
	int error;
	uint64_t set;
} rows[] = {
	{ "", 0, 0 },
	{ "CAP_CHOWN", 0, BIT(0) },
	{ "cap_net_raw  CAP_NET_BIND_SERVICE", 0, BIT(13) | BIT(10) },
	{ "CAP_CHECKPOINT_RESTORE CAP_CHOWN CAP_CHOWN", 0, BIT(40) | BIT(0) },
	{ "~", 0, ALL },
	{ "~CAP_SYS_ADMIN CAP_BPF", 0, ALL & ~BIT(CAP_SYS_ADMIN) & ~BIT(CAP_BPF) },
	{ "CHOWN", -EINVAL, 0 },
	{ "CAP_", -EINVAL, 0 },
	{ "CAP_CHOWN,CAP_KILL", -EINVAL, 0 },
	{ "CAP_CHOWN ~CAP_KILL", -EINVAL, 0 },
	{ "CAP_NO_SUCH", -EINVAL, 0 },
	{ "0", -EINVAL, 0 },
	{ "all", -EINVAL, 0 },
};

static void capabilities(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		uint64_t set = 42;
		assert_int_equal(sb_parse_capabilities(rows[i].text, &set), rows[i].error);
		assert_int_equal(set, rows[i].error ? 42 : rows[i].set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(capabilities) };
	return cmocka_run_group_tests_name("parse_caps", tests, NULL, NULL);
}
