/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One dynamic process start: what the helper would cost if it had nothing to do. */
int main(void)
{
	return 0;
}
