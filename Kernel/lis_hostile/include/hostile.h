/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIS_HOSTILE_H
#define LIS_HOSTILE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

/* What a host could do to the ring in which it talks to a driver. */
struct hostile_deed {
	void *ring; /* its header page; the data follow */
	uint32_t byte_count; /* of the data */
	uint32_t what; /* which deed; see Deeds.swift */
	uint32_t part; /* of a deed in two parts: 0, then 1 */
	uint32_t parts; /* out; 0: there is no such deed */
};
void hostile_do(void *deed);

#endif
