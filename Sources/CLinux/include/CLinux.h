// SPDX-License-Identifier: Apache-2.0
// The Linux interfaces that Swift cannot import as they are: ioctl numbers built by macros, variadic calls.
#pragma once
#include <linux/kvm.h>
#include <stdint.h>

#include "Files.h"
#include "KVM.h"
#include "Network.h"
#include "Processes.h"
#include "Rings.h"
