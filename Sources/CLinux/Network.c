// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "Network.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

static int name_request(struct ifreq *request, const char *name) {
  memset(request, 0, sizeof *request);
  if (strlen(name) >= IFNAMSIZ || !*name) return -ENODEV;
  strcpy(request->ifr_name, name);
  return 0;
}

/// An ioctl about an interface; the request holds the answer.
static int about(const char *name, unsigned long call, struct ifreq *request) {
  int error = name_request(request, name);
  if (error) return error;
  int handle = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (handle < 0) return -errno;
  error = ioctl(handle, call, request) < 0 ? -errno : 0;
  close(handle);
  return error;
}

int clinux_interface_index(const char *name) {
  struct ifreq request;
  int error = about(name, SIOCGIFINDEX, &request);
  return error ? error : request.ifr_ifindex;
}

int clinux_interface_mtu(const char *name) {
  struct ifreq request;
  int error = about(name, SIOCGIFMTU, &request);
  return error ? error : request.ifr_mtu;
}

static int set(const char *name, unsigned long call, struct ifreq *request) {
  int handle = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (handle < 0) return -errno;
  strcpy(request->ifr_name, name);
  int error = ioctl(handle, call, request) < 0 ? -errno : 0;
  close(handle);
  return error;
}

int clinux_interface_set_mtu(const char *name, int mtu) {
  struct ifreq request;
  int error = name_request(&request, name);
  if (error) return error;
  request.ifr_mtu = mtu;
  return set(name, SIOCSIFMTU, &request);
}

int clinux_interface_is_up(const char *name) {
  struct ifreq request;
  int error = about(name, SIOCGIFFLAGS, &request);
  return error ? error : (request.ifr_flags & IFF_UP) != 0;
}

int clinux_interface_set_up(const char *name) {
  struct ifreq request;
  int error = about(name, SIOCGIFFLAGS, &request);
  if (error) return error;
  if (request.ifr_flags & IFF_UP) return 0;
  request.ifr_flags |= IFF_UP;
  return set(name, SIOCSIFFLAGS, &request);
}

int clinux_tap_open(const char *name, int create, unsigned offloads) {
  struct ifreq request;
  int error = name_request(&request, name);
  if (error) return error;
  if (!create && (error = clinux_interface_index(name)) < 0) return error;
  int handle = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (handle < 0) return -errno;
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE;
  // A device that was made with one queue refuses the flag, and is as good.
  if (ioctl(handle, TUNSETIFF, &request) < 0) {
    if (errno != EINVAL) goto failed;
    request.ifr_flags &= ~IFF_MULTI_QUEUE;
    if (ioctl(handle, TUNSETIFF, &request) < 0) goto failed;
  }
  int header = 10, little = 1;
  if (ioctl(handle, TUNSETVNETHDRSZ, &header) < 0) goto failed;
  ioctl(handle, TUNSETVNETLE, &little);
  // Kernels before 6.2 do not know UDP segmentation.
  if (ioctl(handle, TUNSETOFFLOAD, (unsigned long)offloads) < 0 &&
      ioctl(handle, TUNSETOFFLOAD, (unsigned long)(offloads & 0x1f)) < 0)
    goto failed;
  return handle;
failed:
  error = errno;
  close(handle);
  return -error;
}

int clinux_packet_open(const char *name) {
  int index = clinux_interface_index(name);
  if (index < 0) return index;
  // Protocol 0: nothing comes before it is bound to one interface.
  int handle = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (handle < 0) return -errno;
  int on = 1, room = 4 << 20;
  struct sockaddr_ll address = {
      .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index};
  struct packet_mreq membership = {.mr_ifindex = index, .mr_type = PACKET_MR_PROMISC};
  if (setsockopt(handle, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) < 0 ||
      setsockopt(handle, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) < 0 ||
      setsockopt(handle, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) < 0)
    goto failed;
  setsockopt(handle, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  setsockopt(handle, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  if (bind(handle, (struct sockaddr *)&address, sizeof address) < 0 ||
      setsockopt(handle, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership) < 0)
    goto failed;
  return handle;
failed:;
  int error = errno;
  close(handle);
  return -error;
}

long clinux_packet_receive(int socket, struct iovec *vector, int count, int *tag) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
  } control;
  struct msghdr message = {.msg_iov = vector,
                           .msg_iovlen = (size_t)count,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
  *tag = -1;
  ssize_t got = recvmsg(socket, &message, 0);
  if (got < 0) return -errno;
  if (message.msg_flags & MSG_TRUNC) return -EMSGSIZE;
  for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_PACKET || part->cmsg_type != PACKET_AUXDATA) continue;
    struct tpacket_auxdata data;
    memcpy(&data, CMSG_DATA(part), sizeof data);
    if (!(data.tp_status & TP_STATUS_VLAN_VALID)) continue;
    if (data.tp_status & TP_STATUS_VLAN_TPID_VALID && data.tp_vlan_tpid != ETH_P_8021Q) return -EPROTONOSUPPORT;
    *tag = data.tp_vlan_tci;
  }
  return got;
}

static int messages(const char *path, struct sockaddr_un *address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (strlen(path) >= sizeof address->sun_path) return -ENAMETOOLONG;
  strcpy(address->sun_path, path);
  int handle = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (handle < 0) return -errno;
  int room = 4 << 20;
  setsockopt(handle, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  return handle;
}

int clinux_messages_listen(const char *path) {
  struct sockaddr_un address;
  int handle = messages(path, &address);
  if (handle < 0) return handle;
  mode_t mask = umask(0177);
  int result = bind(handle, (struct sockaddr *)&address, sizeof address);
  if (result == 0) result = listen(handle, 64);
  int error = errno;
  umask(mask);
  if (result == 0) return handle;
  close(handle);
  return -error;
}

int clinux_messages_connect(const char *path) {
  struct sockaddr_un address;
  int handle = messages(path, &address);
  if (handle < 0) return handle;
  if (connect(handle, (struct sockaddr *)&address, sizeof address) == 0) return handle;
  int error = errno;
  close(handle);
  return -error;
}

int clinux_messages_accept(int listener) {
  int handle = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (handle < 0) return -errno;
  int room = 4 << 20;
  setsockopt(handle, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  return handle;
}

long clinux_send(int socket, const struct iovec *vector, int count) {
  struct msghdr message = {.msg_iov = (struct iovec *)vector, .msg_iovlen = (size_t)count};
  ssize_t sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  // A character device, opened so that it does not block.
  if (sent < 0 && errno == ENOTSOCK) sent = writev(socket, vector, count);
  return sent < 0 ? -errno : sent;
}

long clinux_receive(int socket, void *room, size_t count) {
  struct iovec vector = {.iov_base = room, .iov_len = count};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  ssize_t got = recvmsg(socket, &message, MSG_DONTWAIT);
  if (got < 0 && errno == ENOTSOCK) got = read(socket, room, count);
  if (got < 0) return -errno;
  return message.msg_flags & MSG_TRUNC ? -EMSGSIZE : got;
}

long clinux_peer_user(int socket) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ? -errno : (long)peer.uid;
}

struct clinux_rwlock {
  pthread_rwlock_t lock;
};

struct clinux_rwlock *clinux_rwlock_create(void) {
  struct clinux_rwlock *lock = malloc(sizeof *lock);
  if (!lock) abort();
  pthread_rwlockattr_t attributes;
  pthread_rwlockattr_init(&attributes);
  pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&lock->lock, &attributes);
  pthread_rwlockattr_destroy(&attributes);
  return lock;
}

void clinux_rwlock_destroy(struct clinux_rwlock *lock) {
  pthread_rwlock_destroy(&lock->lock);
  free(lock);
}

void clinux_rwlock_read(struct clinux_rwlock *lock) { pthread_rwlock_rdlock(&lock->lock); }
void clinux_rwlock_write(struct clinux_rwlock *lock) { pthread_rwlock_wrlock(&lock->lock); }
void clinux_rwlock_unlock(struct clinux_rwlock *lock) { pthread_rwlock_unlock(&lock->lock); }

static uint64_t now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t clinux_monotonic(void) { return now(CLOCK_MONOTONIC); }
uint64_t clinux_realtime(void) { return now(CLOCK_REALTIME); }
