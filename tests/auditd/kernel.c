/*
 * The kernel's side of libaudit, for an auditd that is not to see the kernel: a library to preload.
 *
 * AUDIT_STAND_IN is the path of a socket. Who connects there is given one end of a pair of datagram sockets, always the
 * same; tests/auditd/kernel.py has the other one. From there come records: the type (32 bits), a sequence (32 bits), the
 * text; numbers as the machine has them. To there go the requests that libaudit would send, in the same form. What lies
 * in the pair while no auditd runs waits there, as it does in the kernel. (No descriptor is inherited: a daemon closes
 * those.)
 *
 * Only libc functions that are as old as the machine's ABI: one build runs with the C library of every Debian.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define SET 1001
#define SIGNAL_INFO 1010
#define TEXT_BYTES 8970 /* libaudit's MAX_AUDIT_MESSAGE_LENGTH */
#define HEADER_BYTES 16 /* of a netlink message */
#define SOL_NETLINK 270

/* What libaudit's callers know of a netlink message and of a reply. */
struct netlink_header {
	uint32_t length;
	uint16_t type;
	uint16_t flags;
	uint32_t sequence;
	uint32_t port;
};
struct reply {
	int type;
	int length;
	struct netlink_header *header;
	struct {
		struct netlink_header header;
		char text[TEXT_BYTES];
	} message;
	void *content;
};

struct datagram {
	uint32_t type;
	uint32_t sequence;
	char text[TEXT_BYTES];
};
#define PREFIX_BYTES 8

static uint32_t last_sequence;

static int request(int fd, uint32_t type, const void *content, size_t size)
{
	struct datagram message = { type, ++last_sequence, "" };
	memcpy(message.text, content, size);
	if (send(fd, &message, PREFIX_BYTES + size, MSG_NOSIGNAL) < 0)
		return -errno;
	return (int)last_sequence;
}

int audit_open(void)
{
	const char *path = getenv("AUDIT_STAND_IN");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec content = { &byte, 1 };
	struct msghdr message = { .msg_iov = &content, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	int by, fd = -1;

	if (path == NULL || strlen(path) >= sizeof address.sun_path) {
		errno = EPROTONOSUPPORT; /* and nothing else is tried */
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	by = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (by < 0)
		return -1;
	if (connect(by, (struct sockaddr *)&address, sizeof address) == 0 &&
	    recvmsg(by, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message) != NULL)
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
	close(by);
	return fd;
}

void audit_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

int audit_can_control(void)
{
	return 1;
}

int audit_is_enabled(int fd)
{
	(void)fd;
	return 1;
}

int audit_set_enabled(int fd, uint32_t enabled)
{
	return request(fd, SET, &enabled, sizeof enabled);
}

int audit_set_pid(int fd, uint32_t pid, int wait)
{
	(void)wait;
	return request(fd, SET, &pid, sizeof pid);
}

int audit_request_signal_info(int fd)
{
	return request(fd, SIGNAL_INFO, "", 0);
}

int audit_get_reply(int fd, struct reply *reply, int block, int peek)
{
	static struct datagram message;
	ssize_t size;
	int text;

	(void)block; /* auditd never asks to be kept waiting */
	size = recv(fd, &message, sizeof message, MSG_DONTWAIT | peek);
	if (size < 0)
		return -errno;
	if (size < PREFIX_BYTES)
		return 0;
	text = (int)size - PREFIX_BYTES;
	memset(&reply->message, 0, sizeof reply->message);
	memcpy(reply->message.text, message.text, (size_t)text);
	reply->message.header.type = (uint16_t)message.type;
	reply->message.header.sequence = message.sequence;
	/* Of a record, the kernel counts the text alone; of an answer, the header, too. */
	reply->message.header.length = (uint32_t)(message.type == SIGNAL_INFO ? text + HEADER_BYTES : text);
	reply->type = (int)message.type;
	reply->length = (int)reply->message.header.length;
	reply->header = &reply->message.header;
	reply->content = reply->message.text;
	return reply->length;
}

/* The descriptor is none of netlink's. */
int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	if (level == SOL_NETLINK)
		return 0;
	return (int)syscall(SYS_setsockopt, fd, level, name, value, size);
}
