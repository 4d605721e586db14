// SPDX-License-Identifier: Apache-2.0

// The measured guest's first process: says that it is there, then does nothing for ever.

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int main(void) {
  int console = open("/dev/console", O_RDWR);
  static const char text[] = "\nGUEST-INIT\n";
  write(console < 0 ? 1 : console, text, strlen(text));
  for (;;) pause();
}
