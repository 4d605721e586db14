// SPDX-License-Identifier: Apache-2.0
/* Windows for devices with memory of their own. What is given out of them lies in iomem_resource as well. */
#include "bus_types.h"
#include "hv_vmbus.h"

static struct resource windows[8];
static int window_count;
static DEFINE_MUTEX(windows_lock);

static acpi_status note_window(struct acpi_resource *resource, void *unused)
{
	struct resource_win found = {};
	u64 start, end;

	if (!acpi_dev_resource_address_space(resource, &found) && !acpi_dev_resource_ext_address_space(resource, &found))
		return AE_OK;
	if (!(found.res.flags & IORESOURCE_MEM) || found.res.flags & IORESOURCE_DISABLED)
		return AE_OK;
	start = found.res.start;
	end = found.res.end;
	/* The machine's security chip lies at a fixed place in some. */
	if (start < 0xFED40000 && end >= 0xFED40000)
		end = 0xFED40000 - 1;
	if (end < 0x100000 || end <= start || window_count == ARRAY_SIZE(windows))
		return AE_OK;
	windows[window_count++] = (struct resource){
		.name = "hyperv mmio", .start = start, .end = end, .flags = IORESOURCE_MEM,
	};
	return AE_OK;
}

/* The device's own, or those of the next above it that has any. */
int vb_windows_find(struct acpi_device *device)
{
	acpi_handle handle = device->handle;

	while (!window_count) {
		acpi_walk_resources(handle, METHOD_NAME__CRS, note_window, NULL);
		if (ACPI_FAILURE(acpi_get_parent(handle, &handle)))
			break;
	}
	return 0;
}

void vb_windows_forget(void)
{
	window_count = 0;
	memset(windows, 0, sizeof(windows));
}

int vmbus_allocate_mmio(struct resource **new, struct hv_device *device_obj, resource_size_t min, resource_size_t max,
			resource_size_t size, resource_size_t align, bool fb_overlap_ok)
{
	resource_size_t start, from, to;
	struct resource *held;
	int i, result = -ENXIO;

	mutex_lock(&windows_lock);
	for (i = 0; i < window_count && result; i++) {
		from = max(windows[i].start, min);
		to = min(windows[i].end, max);
		for (start = ALIGN(from, align); start >= from && start + size - 1 <= to; start += align) {
			held = __request_region(&windows[i], start, size, dev_name(&device_obj->device), 0);
			if (!held)
				continue;
			*new = request_mem_region_exclusive(start, size, dev_name(&device_obj->device));
			if (*new) {
				result = 0;
				break;
			}
			__release_region(&windows[i], start, size);
		}
	}
	mutex_unlock(&windows_lock);
	return result;
}
EXPORT_SYMBOL_GPL(vmbus_allocate_mmio);

void vmbus_free_mmio(resource_size_t start, resource_size_t size)
{
	int i;

	mutex_lock(&windows_lock);
	for (i = 0; i < window_count; i++)
		if (start >= windows[i].start && start + size - 1 <= windows[i].end)
			__release_region(&windows[i], start, size);
	release_mem_region(start, size);
	mutex_unlock(&windows_lock);
}
EXPORT_SYMBOL_GPL(vmbus_free_mmio);
