// SPDX-License-Identifier: Apache-2.0
// Network devices for Swift: TAP and packet sockets, credentials of a peer, and a lock that lets writers in.
#pragma once
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/// One queue of the TAP device `name`, non-blocking, with a virtio-net header of ten bytes before each frame: the
/// descriptor or the negated errno. `create`: makes the device if it is missing (it goes with its last queue).
/// `offloads`: TUN_F_… that the reader takes.
int clinux_tap_open(const char *name, int create, unsigned offloads);

/// An interface's index, or the negated errno.
int clinux_interface_index(const char *name);
/// Its MTU, or the negated errno.
int clinux_interface_mtu(const char *name);
int clinux_interface_set_mtu(const char *name, int mtu);
/// 1 when it is up, 0 when not, or the negated errno.
int clinux_interface_is_up(const char *name);
int clinux_interface_set_up(const char *name);

/// A non-blocking packet socket on the interface, promiscuous, with virtio-net headers, tags beside the frames and
/// without the frames that this machine sends: the descriptor or the negated errno.
int clinux_packet_open(const char *name);
/// Reads one message into the vector. Returns its bytes or the negated errno. `tag` becomes the VLAN tag that the kernel
/// took off, or -1.
long clinux_packet_receive(int socket, struct iovec *vector, int count, int *tag);

/// A non-blocking UNIX socket of whole messages that listens at `path` (mode 0600), or one that is connected to such a
/// socket: the descriptor or the negated errno.
int clinux_messages_listen(const char *path);
int clinux_messages_connect(const char *path);
/// The next connection of a listener, non-blocking: the descriptor or the negated errno.
int clinux_messages_accept(int listener);
/// The peer of a UNIX socket: its user id, or the negated errno.
long clinux_peer_user(int socket);
/// Sends a vector without waiting and without a signal: its bytes or the negated errno.
long clinux_send(int socket, const struct iovec *vector, int count);
/// Reads into the vector without waiting. A message that is longer is -EMSGSIZE. Returns its bytes or the negated errno.
long clinux_receive(int socket, void *room, size_t count);

/// A lock for many readers; waiting writers go first.
struct clinux_rwlock;
struct clinux_rwlock *clinux_rwlock_create(void);
void clinux_rwlock_destroy(struct clinux_rwlock *lock);
void clinux_rwlock_read(struct clinux_rwlock *lock);
void clinux_rwlock_write(struct clinux_rwlock *lock);
void clinux_rwlock_unlock(struct clinux_rwlock *lock);

/// Nanoseconds of CLOCK_MONOTONIC and of CLOCK_REALTIME.
uint64_t clinux_monotonic(void);
uint64_t clinux_realtime(void);
