/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the C and the Swift of hv_utils. Swift imports this file without any header of the kernel's; glue.c includes it
 * after them.
 *
 * C holds the lock of a service around every call of a utils_swift function, and calls them through the trap guard.
 */
#ifndef LIS_UTILS_H
#define LIS_UTILS_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

struct lis_channel;
struct utils_service;

/* What C does for Swift. */

/* Bytes that the daemon can read now; 0 for none. Wakes it. */
void utils_message_waits(struct utils_service *service, size_t count);
/* utils_swift_timeout comes in that many seconds; 0: it doesn't. */
void utils_deadline(struct utils_service *service, uint32_t seconds);
/* utils_swift_serve comes once more. */
void utils_serve_again(struct utils_service *service);
/* The partition's clock, in 100 ns. */
uint64_t utils_reference_time(void);
/* Nanoseconds since 1970. */
void utils_set_clock(int64_t time);
/* Whether a clock that is behind is to be set by samples too. */
bool utils_sets_when_behind(void);
bool utils_hibernates(void);

enum utils_action { UTILS_POWER_OFF, UTILS_RESTART, UTILS_HIBERNATE };
void utils_act(struct utils_service *service, enum utils_action action);

/* What Swift does for C. Results: 0 or a negative errno. */

/* Services are numbered as IntegrationService.rawValue is. NULL: no memory. */
void *utils_swift_make(struct utils_service *service, uint32_t kind);
void utils_swift_end(void *state);
/* The channel is open, and before it is closed. */
int utils_swift_opened(void *state, struct lis_channel *channel);
int utils_swift_closing(void *state);
/* Reads what the host has written. */
int utils_swift_serve(void *state);
/* The daemon was too slow. */
int utils_swift_timeout(void *state);
/* The host's time, in nanoseconds since 1970. */
int utils_swift_host_time(void *state, int64_t *time);

/* The daemon's device. */
int utils_swift_device_open(void *state);
int utils_swift_device_close(void *state);
/* Where the bytes are that wait for the daemon, and that it has read them. */
const void *utils_swift_message(void *state);
int utils_swift_device_read(void *state);
int utils_swift_device_write(void *state, const void *bytes, size_t count);

#endif
