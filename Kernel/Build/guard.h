/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way from C into Swift. A failed check of Swift (bounds, overflow, nil, precondition) comes back here instead of
 * being an oops: the call ends with a value that the caller chose, and the log names the place.
 */
#ifndef LIS_GUARD_H
#define LIS_GUARD_H

#include <linux/build_bug.h>
#include <linux/types.h>

/*
 * swift_call(on_trap, function, arguments...): function(arguments...), or on_trap when it trapped. Up to four
 * arguments, each an integer or a pointer; the result is an integer of 32 or 64 bits, a pointer, or nothing. (Not a
 * bool: of its register only the lowest byte means something.) Any context.
 *
 * What the abandoned Swift code held: spin locks taken through KernelSupport are given back, the preemption count and
 * the interrupt flag are put back. Memory stays with whoever it is reachable from; no deinit runs. So the caller marks
 * its device dead, and frees by walking the device.
 */
#define swift_call(on_trap, function, ...)                                                                            \
	({                                                                                                            \
		(void)sizeof(function(__VA_ARGS__));                                                                  \
		BUILD_BUG_ON(__builtin_types_compatible_p(typeof(function(__VA_ARGS__)), bool));                      \
		(typeof(function(__VA_ARGS__)))LIS_GUARD_RUN(__VA_ARGS__)(                                            \
			(void *)(function), (long)(on_trap)LIS_GUARD_ARGUMENTS(__VA_ARGS__));                         \
	})

/* swift_call for a function without a result: true when it trapped. */
#define swift_call_trapped(function, ...)                                                                             \
	({                                                                                                            \
		bool trapped_ = false;                                                                                \
		(void)sizeof(function(__VA_ARGS__));                                                                  \
		swift_guard_run((void *)(function), 0, LIS_GUARD_FOUR(__VA_ARGS__), &trapped_);                       \
		trapped_;                                                                                             \
	})

#define LIS_GUARD_RUN(...) swift_guard_call
#define LIS_GUARD_ARGUMENTS(...) , LIS_GUARD_FOUR(__VA_ARGS__)
#define LIS_GUARD_FOUR(...) LIS_GUARD_PICK(0, ##__VA_ARGS__, 0, 0, 0, 0)
#define LIS_GUARD_PICK(zero, a, b, c, d, ...) (long)(a), (long)(b), (long)(c), (long)(d)

long swift_guard_run(void *function, long on_trap, long a, long b, long c, long d, bool *trapped);
static inline long swift_guard_call(void *function, long on_trap, long a, long b, long c, long d)
{
	return swift_guard_run(function, on_trap, a, b, c, d, NULL);
}

/* How many traps this module has seen. */
unsigned int swift_traps(void);

#endif
