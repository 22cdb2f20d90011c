/* The yardstick: an echo server in C on one epoll, as little as is correct.
 *
 * What the peer does not take at once is kept, and reading stops until it is gone.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024, EVENTS = 256 };

struct connection {
    int fd;
    ssize_t from, until;      /* what is still to be sent of `data` */
    char data[CHUNK];
};

static int epoll;

static void watch(struct connection *c, uint32_t events, int operation)
{
    struct epoll_event event = {events, {.ptr = c}};
    epoll_ctl(epoll, operation, c->fd, &event);
}

static void accept_one(int listener)
{
    int on = 1, fd = accept4(listener, 0, 0, SOCK_NONBLOCK);
    struct connection *c = fd < 0 ? 0 : calloc(1, sizeof *c);
    if (!c)
        return;
    c->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(c, EPOLLIN, EPOLL_CTL_ADD);
}

/* Returns 0 when the connection is over. */
static int flush(struct connection *c)
{
    while (c->from < c->until) {
        ssize_t n = send(c->fd, c->data + c->from, (size_t)(c->until - c->from), MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN;
        c->from += n;
    }
    return 1;
}

static void serve(struct connection *c)
{
    int was_waiting = c->from < c->until;
    if (!was_waiting) {
        c->from = 0;
        c->until = recv(c->fd, c->data, CHUNK, 0);
    }
    if (c->until <= 0 || !flush(c)) {
        close(c->fd);
        free(c);
        return;
    }
    int is_waiting = c->from < c->until;
    if (is_waiting != was_waiting)
        watch(c, is_waiting ? EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
}

int main(void)
{
    struct sockaddr_in address = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1024))
        return 1;
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("tcp://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);

    struct epoll_event events[EVENTS], listening = {EPOLLIN, {.ptr = 0}};
    epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &listening);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++)
            if (events[i].data.ptr)
                serve(events[i].data.ptr);
            else
                accept_one(listener);
    }
}
