/* SPDX-License-Identifier: Apache-2.0 */
/* For the guard: the spin locks that Swift holds on this processor, and how to give them back after a trap. */
#ifndef LIS_KERNEL_SUPPORT_LOCKS_H
#define LIS_KERNEL_SUPPORT_LOCKS_H

unsigned int ks_locks_held(void);
void ks_locks_drop(unsigned int down_to);

#endif
