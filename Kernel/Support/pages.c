// SPDX-License-Identifier: Apache-2.0
/* Memory in whole pages. */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>
#include "kernel_support.h"
#include "kernel_support_memory.h"

void *ks_pages_allocate(uint32_t order, bool atomic)
{
	return ks_counted((void *)__get_free_pages((atomic ? GFP_ATOMIC : GFP_KERNEL) | __GFP_ZERO, order));
}

void ks_pages_free(void *pages, uint32_t order)
{
	ks_uncounted(pages);
	free_pages((unsigned long)pages, order);
}

void *ks_virtual_allocate(size_t count)
{
	return ks_counted(vzalloc(count));
}

void ks_virtual_free(void *memory)
{
	ks_uncounted(memory);
	vfree(memory);
}

uint64_t ks_physical(const void *memory)
{
	return virt_to_phys((void *)memory);
}
