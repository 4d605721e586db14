/* SPDX-License-Identifier: Apache-2.0 */
/* For the guard: the spin locks that Swift holds on this processor, and how to give them back after a trap. */
#ifndef LIS_KERNEL_SUPPORT_LOCKS_H
#define LIS_KERNEL_SUPPORT_LOCKS_H

#ifdef KS_NO_LOCKS /* a module whose Swift takes none */
static inline unsigned int ks_locks_held(void)
{
	return 0;
}
static inline void ks_locks_drop(unsigned int down_to)
{
}
#else
unsigned int ks_locks_held(void);
void ks_locks_drop(unsigned int down_to);
#endif

#endif
