/* The yardstick of TLS: C with OpenSSL on one epoll, as little as is correct.
 *
 *   tls_echo ROLE CERTIFICATE KEY
 *   tls_echo ROLE                  in the clear: what terminators are put in front of
 *
 * Roles
 *   echo    what comes in goes out again
 *   sink    answers each MiB with one byte, its last
 *   source  sends messages of 64 KiB without end, from the first byte that comes in
 *
 * What the peer does not take at once is kept, and reading stops until it is gone.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024, MIB = 1024 * 1024, PERIOD = 251, EVENTS = 256 };
enum { OVER = 0, LATER = -1 };
enum role { ECHO, SINK, SOURCE };

struct connection {
    SSL *ssl;                 /* null in the clear */
    int fd, begun;
    size_t heard;             /* sink: bytes since the last answer */
    size_t from, until;       /* what is still to be sent of `rest`, or of the message */
    char *rest;
};

static enum role role;
static int epoll;
static SSL_CTX *context;
static char inbox[CHUNK], message[CHUNK];

static void watch(struct connection *c, uint32_t events, int operation)
{
    struct epoll_event event = {events, {.ptr = c}};
    epoll_ctl(epoll, operation, c->fd, &event);
}

/* What came of a call to OpenSSL: bytes, OVER, or LATER. */
static ssize_t outcome(struct connection *c, int n)
{
    if (n > 0)
        return n;
    int error = SSL_get_error(c->ssl, n);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? LATER : OVER;
}

static ssize_t take(struct connection *c)
{
    if (c->ssl) {
        ERR_clear_error(); /* another connection's error must not be read as this one's */
        return outcome(c, SSL_read(c->ssl, inbox, CHUNK));
    }
    ssize_t n = recv(c->fd, inbox, CHUNK, 0);
    return n >= 0 ? n : errno == EAGAIN ? LATER : OVER;
}

static ssize_t give(struct connection *c, const char *data, size_t length)
{
    if (c->ssl) {
        ERR_clear_error();
        return outcome(c, SSL_write(c->ssl, data, (int)length));
    }
    ssize_t n = send(c->fd, data, length, MSG_NOSIGNAL);
    return n > 0 ? n : errno == EAGAIN ? LATER : OVER;
}

static void accept_one(int listener)
{
    int on = 1, fd = accept4(listener, 0, 0, SOCK_NONBLOCK);
    struct connection *c = fd < 0 ? 0 : calloc(1, sizeof *c);
    if (!c)
        return;
    c->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (context) {
        c->ssl = SSL_new(context);
        SSL_set_fd(c->ssl, fd);
        SSL_set_accept_state(c->ssl);
    }
    watch(c, EPOLLIN, EPOLL_CTL_ADD);
}

/* Returns 0 when the connection is over. */
static int flush(struct connection *c)
{
    const char *data = role == SOURCE ? message : c->rest;
    while (c->from < c->until) {
        ssize_t n = give(c, data + c->from, c->until - c->from);
        if (n <= 0)
            return n == LATER;
        c->from += (size_t)n;
    }
    if (c->rest) {
        free(c->rest);
        c->rest = 0;
        watch(c, EPOLLIN, EPOLL_CTL_MOD);
    }
    return 1;
}

/* Send, and keep what is not taken. Returns 0 when the connection is over. */
static int answer(struct connection *c, const char *data, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t n = give(c, data + done, length - done);
        if (n == OVER)
            return 0;
        if (n == LATER)
            break;
        done += (size_t)n;
    }
    if (done < length) {
        c->from = 0;
        c->until = length - done;
        c->rest = malloc(c->until);
        memcpy(c->rest, data + done, c->until);
        watch(c, EPOLLOUT, EPOLL_CTL_MOD);
    }
    return 1;
}

static int heard(struct connection *c, size_t length)
{
    if (role == ECHO)
        return answer(c, inbox, length);
    if (role == SINK) {
        c->heard += length;
        if (c->heard < MIB)
            return 1;
        c->heard -= MIB;
        return answer(c, inbox + length - c->heard - 1, 1);
    }
    if (!c->begun)
        watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    c->begun = 1;
    return 1;
}

/* Returns 0 when the connection is over. */
static int turn(struct connection *c, uint32_t events)
{
    if (c->rest)
        return flush(c);
    if (events & ~(uint32_t)EPOLLOUT) {
        ssize_t n = take(c);
        if (n == OVER || (n > 0 && !heard(c, (size_t)n)))
            return 0;
    }
    if (c->begun && events & EPOLLOUT) {
        if (c->from == c->until) {
            c->from = 0;
            c->until = CHUNK;
        }
        return flush(c);
    }
    return 1;
}

static void serve(struct connection *c, uint32_t events)
{
    if (turn(c, events))
        return;
    if (c->ssl) {
        ERR_clear_error();
        SSL_shutdown(c->ssl);
        SSL_free(c->ssl);
    }
    close(c->fd);
    free(c->rest);
    free(c);
}

static void secure(const char *certificate, const char *key)
{
    context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    const char *asked = argc > 1 ? argv[1] : "";
    role = !strcmp(asked, "source") ? SOURCE : !strcmp(asked, "sink") ? SINK : ECHO;
    if (argc > 3)
        secure(argv[2], argv[3]);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < CHUNK; i++)
        message[i] = (char)(i % PERIOD);

    struct sockaddr_in address = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1024))
        return 1;
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%s://127.0.0.1:%d\n", context ? "tls" : "tcp", ntohs(address.sin_port));
    fflush(stdout);

    struct epoll_event events[EVENTS], listening = {EPOLLIN, {.ptr = 0}};
    epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &listening);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++)
            if (events[i].data.ptr)
                serve(events[i].data.ptr, events[i].events);
            else
                accept_one(listener);
    }
}
