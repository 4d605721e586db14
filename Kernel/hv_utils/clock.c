// SPDX-License-Identifier: Apache-2.0
/* The PTP clock "hyperv": the host's time, for chrony and its like. It can be read, and nothing else. */
#include <linux/err.h>
#include <linux/module.h>

#include "service.h"

static int get_time(struct ptp_clock_info *info, struct timespec64 *time)
{
	struct utils_service *service = container_of(info, struct utils_service, clock_info);
	int64_t nanoseconds = 0;
	int error;

	mutex_lock(&service->lock);
	error = utils_call(service, utils_swift_host_time, &nanoseconds);
	mutex_unlock(&service->lock);
	if (!error)
		*time = ns_to_timespec64(nanoseconds);
	return error;
}

static int set_time(struct ptp_clock_info *info, const struct timespec64 *time)
{
	return -EOPNOTSUPP;
}

static int adjust_time(struct ptp_clock_info *info, s64 by)
{
	return -EOPNOTSUPP;
}

static int adjust_rate(struct ptp_clock_info *info, long by)
{
	return -EOPNOTSUPP;
}

static int enable(struct ptp_clock_info *info, struct ptp_clock_request *request, int on)
{
	return -EOPNOTSUPP;
}

void utils_clock_register(struct utils_service *service)
{
	struct ptp_clock *clock;

	service->clock_info = (struct ptp_clock_info){
		.owner = THIS_MODULE,
		.name = "hyperv",
		.gettime64 = get_time,
		.settime64 = set_time,
		.adjtime = adjust_time,
		.adjfine = adjust_rate,
		.enable = enable,
	};
	clock = ptp_clock_register(&service->clock_info, NULL);
	/* Without it the host can still set the guest's clock. */
	if (IS_ERR(clock))
		pr_err(KBUILD_MODNAME ": no PTP clock: error %ld\n", PTR_ERR(clock));
	else
		service->clock = clock;
}

void utils_clock_unregister(struct utils_service *service)
{
	if (service->clock)
		ptp_clock_unregister(service->clock);
	service->clock = NULL;
}
