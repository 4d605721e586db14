// SPDX-License-Identifier: Apache-2.0

import Partition

/// The partition's crash report, under a name of its own: the control API has a model of the same name, and the module
/// `Partition` cannot qualify it because its main class has the module's name.
typealias PartitionCrash = CrashReport
