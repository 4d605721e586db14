/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIS_SELFTEST_PLANT_H
#define LIS_SELFTEST_PLANT_H

/* Takes a trap back that nobody has met. */
void selftest_take_back(void);

#endif
