# SPDX-License-Identifier: Apache-2.0
"""A package of its own with the image formats and their tests, so that these are built in a minute.

`python3 scripts/lib/image_package.py FOLDER` writes it."""

import pathlib
import re
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["Sources/VMBus", "Sources/DeviceProtocols", "Sources/CLinux", "Sources/HostSystem", "Sources/VirtualDisks",
           "Tests/StoreDoubles", "Tests/TestSupport", "Tests/VirtualDisksTests"]
PACKAGE = """// swift-tools-version: 6.2
import PackageDescription

%s
let package = Package(
  name: "images",
  targets: [
    .target(name: "VMBus", swiftSettings: settings),
    .target(name: "DeviceProtocols", dependencies: ["VMBus"], swiftSettings: settings),
    .target(name: "CLinux"),
    .target(name: "HostSystem", dependencies: ["CLinux"], swiftSettings: settings),
    .target(
      name: "VirtualDisks", dependencies: ["VMBus", "DeviceProtocols", "HostSystem", "CLinux"], swiftSettings: settings),
    .target(name: "StoreDoubles", dependencies: ["VirtualDisks"], path: "Tests/StoreDoubles", swiftSettings: settings),
    .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: settings),
    .testTarget(
      name: "VirtualDisksTests",
      dependencies: ["VirtualDisks", "StoreDoubles", "TestSupport", "HostSystem", "VMBus", "DeviceProtocols"],
      swiftSettings: settings),
  ])
"""


def write(work, warnings_are_errors=True):
    """What was built of an earlier copy stays, and is used again as far as the sources are the same."""
    settings = re.search(r"^let settings: .*?^\]\n", (ROOT / "Package.swift").read_text(), re.S | re.M).group()
    if not warnings_are_errors:
        settings = settings.replace("  .treatAllWarnings(as: .error),\n", "")
    work.mkdir(parents=True, exist_ok=True)
    (work / "Package.swift").write_text(PACKAGE % settings)
    for folder in FOLDERS:
        shutil.rmtree(work / folder, ignore_errors=True)
        shutil.copytree(ROOT / folder, work / folder)


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]))
