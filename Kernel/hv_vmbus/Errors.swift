// SPDX-License-Identifier: Apache-2.0

import VMBus
import VMBusGuest

// The kernel's error numbers, negative.

let ENOMEM: Int32 = -12
let EIO: Int32 = -5
let EAGAIN: Int32 = -11
let EINVAL: Int32 = -22
let ENODEV: Int32 = -19
let ENOBUFS: Int32 = -105
let EPROTO: Int32 = -71
let EOPNOTSUPP: Int32 = -95

extension BusClientError {
  var errorNumber: Int32 {
    switch self {
    case .wrongState, .unknownChannel, .wrongChannelState, .wrongGPADL, .gpadlsLeft: ENODEV
    case .post: EIO
    case .noCommonVersion: EPROTO
    case .gpadlTableFull: ENOMEM
    case .unusablePageCount: EINVAL
    case .notInVersion: EOPNOTSUPP
    }
  }
}

extension RingError {
  var errorNumber: Int32 {
    switch self {
    case .corrupt: EIO
    case .full: EAGAIN
    case .tooLarge: ENOBUFS
    }
  }
}
