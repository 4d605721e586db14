/* SPDX-License-Identifier: Apache-2.0 */
/* Among the C files of KernelSupport: what is allocated is counted. */
#ifndef LIS_KERNEL_SUPPORT_MEMORY_H
#define LIS_KERNEL_SUPPORT_MEMORY_H

void *ks_counted(void *memory);
void ks_uncounted(const void *memory);

#endif
