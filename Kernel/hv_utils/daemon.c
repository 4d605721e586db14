// SPDX-License-Identifier: Apache-2.0
/* The character devices of the daemons: one open file at a time; all it carries is Swift's. */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "service.h"

/* No daemon writes more at once. */
#define LARGEST 8192

void utils_message_waits(struct utils_service *service, size_t count)
{
	WRITE_ONCE(service->waiting, count);
	if (count)
		wake_up_interruptible(&service->readers);
}

static bool gone(struct utils_service *service)
{
	return !READ_ONCE(service->state) || READ_ONCE(service->failed);
}

static int utils_device_open(struct inode *inode, struct file *file)
{
	struct utils_service *service = container_of(file->private_data, struct utils_service, daemon);
	int error;

	mutex_lock(&service->lock);
	error = gone(service) ? -EBADF : utils_call(service, utils_swift_device_open);
	if (!error) {
		kref_get(&service->references);
		file->private_data = service;
	}
	mutex_unlock(&service->lock);
	return error;
}

static int utils_device_release(struct inode *inode, struct file *file)
{
	struct utils_service *service = file->private_data;

	mutex_lock(&service->lock);
	(void)utils_call(service, utils_swift_device_close);
	mutex_unlock(&service->lock);
	utils_put(service);
	return 0;
}

static ssize_t utils_device_read(struct file *file, char __user *to, size_t room, loff_t *position)
{
	struct utils_service *service = file->private_data;
	const void *message;
	ssize_t count;

	if (file->f_flags & O_NONBLOCK) {
		if (!READ_ONCE(service->waiting) && !gone(service))
			return -EAGAIN;
	} else if (wait_event_interruptible(service->readers, READ_ONCE(service->waiting) || gone(service))) {
		return -EINTR;
	}
	mutex_lock(&service->lock);
	count = service->waiting;
	message = gone(service) ? NULL : swift_call(NULL, utils_swift_message, service->state);
	if (!message)
		count = -EBADF;
	else if (!count)
		count = -EAGAIN; /* withdrawn meanwhile */
	else if (room < count)
		count = -EINVAL;
	else if (copy_to_user(to, message, count))
		count = -EFAULT;
	else
		(void)utils_call(service, utils_swift_device_read);
	mutex_unlock(&service->lock);
	return count;
}

static ssize_t utils_device_write(struct file *file, const char __user *from, size_t count, loff_t *position)
{
	struct utils_service *service = file->private_data;
	void *bytes;
	int error;

	if (count > LARGEST)
		return -EINVAL;
	bytes = memdup_user(from, count);
	if (IS_ERR(bytes))
		return PTR_ERR(bytes);
	mutex_lock(&service->lock);
	error = gone(service) ? -EBADF : utils_call(service, utils_swift_device_write, bytes, count);
	mutex_unlock(&service->lock);
	kfree(bytes);
	return error ? error : count;
}

static __poll_t utils_device_poll(struct file *file, poll_table *table)
{
	struct utils_service *service = file->private_data;

	poll_wait(file, &service->readers, table);
	if (gone(service))
		return EPOLLERR | EPOLLHUP;
	return READ_ONCE(service->waiting) ? EPOLLIN | EPOLLRDNORM : 0;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = utils_device_open,
	.release = utils_device_release,
	.read = utils_device_read,
	.write = utils_device_write,
	.poll = utils_device_poll,
};

int utils_daemon_register(struct utils_service *service, const char *name)
{
	int error;

	service->daemon.minor = MISC_DYNAMIC_MINOR;
	service->daemon.name = name;
	service->daemon.fops = &operations;
	error = misc_register(&service->daemon);
	service->has_daemon = !error;
	return error;
}

void utils_daemon_unregister(struct utils_service *service)
{
	if (service->has_daemon)
		misc_deregister(&service->daemon);
	service->has_daemon = false;
}
