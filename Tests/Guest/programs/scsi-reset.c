// SPDX-License-Identifier: Apache-2.0
// scsi-reset DISK: has the disk's host reset, as error handling would, and says what came of it.
#include <fcntl.h>
#include <scsi/sg.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(int count, char **words) {
  int what = SG_SCSI_RESET_HOST;
  int disk = count == 2 ? open(words[1], O_RDWR | O_NONBLOCK) : -1;
  if (disk < 0 || ioctl(disk, SG_SCSI_RESET, &what) < 0) {
    perror(words[0]);
    return 1;
  }
  return 0;
}
