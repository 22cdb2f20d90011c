/* The yardsticks for datagrams on loopback, and the flood that all receivers are given.
 *
 *   datagrams send sendto|sendmmsg|gso PORT SIZE       until killed
 *   datagrams receive recv|recvmmsg|gro PORT           until killed
 *   datagrams flood PORT SIZE SECONDS FD FULL
 *   datagrams sink SIZE SECONDS FD
 *
 * `flood` sends a feed by GSO for so many seconds, but only while the receiver's socket, of which FD
 * is a duplicate, is less full than FULL per cent (100: it does not look). Then it waits until
 * that is empty and says how many datagrams it sent and how many seconds all took.
 *
 * `sink` takes what arrives at FD, a socket with UDP_GRO, without ever sleeping: to wake a reader up
 * would be the sender's work. It begins a quarter of SECONDS after the first datagram, says so,
 * and at the end how many arrived, those included that the socket had no room for.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { SEGMENT = 103, GRO = 104, MEMINFO = 55, AT_ONCE = 64, LONGEST = 65400, ROOM = 1 << 16 };

static char data[ROOM];
static char rooms[AT_ONCE][ROOM];
static struct mmsghdr messages[AT_ONCE];
static struct iovec parts[AT_ONCE];
static struct sockaddr_in where;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int udp(int port)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    where.sin_port = htons(port);
    if (fd < 0)
        fail("socket");
    return fd;
}

/* Datagrams of `size` that one call carries. */
static int at_once(int size)
{
    struct utsname os;
    int major = 0, minor = 0, fit = LONGEST / size;
    uname(&os);
    sscanf(os.release, "%d.%d", &major, &minor);
    int most = major * 100 + minor < 609 ? 64 : 128; /* UDP_MAX_SEGMENTS */
    return fit < most ? fit : most;
}

static void set_up(int size)
{
    for (int i = 0; i < AT_ONCE; i++) {
        parts[i] = (struct iovec){rooms[i], size};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
}

static int gso(int port, int size)
{
    int fd = udp(port);
    if (setsockopt(fd, IPPROTO_UDP, SEGMENT, &size, sizeof size))
        fail("UDP_SEGMENT");
    return fd;
}

static void send_all(const char *how, int port, int size)
{
    int many = at_once(size), fd = strcmp(how, "gso") ? udp(port) : gso(port, size);
    if (!strcmp(how, "gso"))
        size *= many;
    set_up(size);
    for (int i = 0; i < AT_ONCE; i++) {
        messages[i].msg_hdr.msg_name = &where;
        messages[i].msg_hdr.msg_namelen = sizeof where;
    }
    for (;;)
        if (!strcmp(how, "sendmmsg")) {
            if (sendmmsg(fd, messages, AT_ONCE, 0) < 0)
                fail("sendmmsg");
        } else if (sendto(fd, data, size, 0, (void *)&where, sizeof where) < 0)
            fail("sendto");
}

static void receive_all(const char *how, int port)
{
    int fd = udp(port), on = 1, room = 4 << 20;
    char told[CMSG_SPACE(sizeof(int))];
    struct iovec part = {data, ROOM};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (bind(fd, (void *)&where, sizeof where))
        fail("bind");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (!strcmp(how, "gro") && setsockopt(fd, IPPROTO_UDP, GRO, &on, sizeof on))
        fail("UDP_GRO");
    set_up(ROOM);
    for (;;)
        if (!strcmp(how, "recvmmsg")) {
            if (recvmmsg(fd, messages, AT_ONCE, MSG_WAITFORONE, 0) < 0)
                fail("recvmmsg");
        } else if (!strcmp(how, "gro")) {
            message.msg_control = told;
            message.msg_controllen = sizeof told;
            if (recvmsg(fd, &message, 0) < 0)
                fail("recvmsg");
        } else if (recv(fd, data, ROOM, 0) < 0)
            fail("recv");
}

/* Bytes that wait in the receiver's socket, and how many it allows. */
static void fill(int fd, uint32_t *waiting, uint32_t *room)
{
    uint32_t memory[9];
    socklen_t length = sizeof memory;
    if (getsockopt(fd, SOL_SOCKET, MEMINFO, memory, &length))
        fail("SO_MEMINFO");
    *waiting = memory[0];
    *room = memory[1];
}

static void put(char *at, uint64_t number, int bytes)
{
    while (bytes--) {
        at[bytes] = number;
        number >>= 8;
    }
}

/* Makes them a feed (docs/feed-format.md), so that a receiver has something to count. */
static void number(int many, int size, uint64_t first)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    for (int i = 0; i < many; i++) {
        char *at = data + i * size;
        memcpy(at, "NK\x10", 4);
        put(at + 4, getpid(), 4);
        put(at + 8, 1, 4);
        put(at + 16, first + i, 8);
        put(at + 24, t.tv_sec * 1000000000ull + t.tv_nsec, 8);
    }
}

static void flood(int port, int size, double seconds, int receiver, int full)
{
    int fd = gso(port, size), many = at_once(size);
    uint32_t waiting, room;
    long sent = 0;
    double from = now();
    while (now() - from < seconds) {
        fill(receiver, &waiting, &room);
        if (full < 100 && waiting > room / 100 * full)
            continue;
        number(many, size, sent + 1);
        if (sendto(fd, data, many * size, 0, (void *)&where, sizeof where) < 0)
            fail("sendto");
        sent += many;
    }
    do
        fill(receiver, &waiting, &room);
    while (waiting && now() - from < 10 * seconds);
    printf("{\"sent\": %ld, \"seconds\": %f}\n", sent, now() - from);
}

/* Calls of recv that found something until `until`, or one if that is 0; bytes are added. */
static long drain(int fd, double until, long *bytes)
{
    long calls = 0;
    while (until ? now() < until : !calls) {
        ssize_t length = recv(fd, data, ROOM, MSG_DONTWAIT);
        calls += length > 0;
        *bytes += length > 0 ? length : 0;
    }
    return calls;
}

static uint32_t dropped(int fd)
{
    uint32_t memory[9];
    socklen_t length = sizeof memory;
    if (getsockopt(fd, SOL_SOCKET, MEMINFO, memory, &length))
        fail("SO_MEMINFO");
    return memory[8];
}

static void sink(int size, double seconds, int fd)
{
    long bytes = 0, calls;
    drain(fd, 0, &bytes);
    drain(fd, now() + seconds / 4, &bytes);
    printf("{}\n");
    fflush(stdout);
    uint32_t lost = dropped(fd);
    double from = now();
    bytes = 0;
    calls = drain(fd, from + seconds, &bytes);
    double took = now() - from, each = calls ? (double)bytes / calls / size : 1;
    lost = dropped(fd) - lost; /* runs, as long as those that came */
    printf("{\"arrived\": %.0f, \"seconds\": %f}\n", bytes / (double)size + lost * each, took);
}

int main(int argc, char **argv)
{
    if (argc == 5 && !strcmp(argv[1], "send"))
        send_all(argv[2], atoi(argv[3]), atoi(argv[4]));
    else if (argc == 4 && !strcmp(argv[1], "receive"))
        receive_all(argv[2], atoi(argv[3]));
    else if (argc == 7 && !strcmp(argv[1], "flood"))
        flood(atoi(argv[2]), atoi(argv[3]), atof(argv[4]), atoi(argv[5]), atoi(argv[6]));
    else if (argc == 5 && !strcmp(argv[1], "sink"))
        sink(atoi(argv[2]), atof(argv[3]), atoi(argv[4]));
    else
        return fprintf(stderr, "see the first lines of datagrams.c\n"), 2;
    return 0;
}
