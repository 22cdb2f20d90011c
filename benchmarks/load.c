/* Load generator for echo servers: one thread, one epoll, every byte verified.
 *
 *   load --port 8007 --connections 100 --size 1024 --seconds 1 --pid SERVER
 *
 * Of a server of several processes, give --pid for each.
 *
 * Modes
 *   echo     open the connections, then keep `depth` messages outstanding on each
 *   connect  open a connection, send one message, read it back, close, again;
 *            `connections` of them at a time
 *   idle     open the connections, one message each, then hold them until stdin ends
 *
 * One line of JSON on stdout. `messages` fall in the measured window; `sent` and
 * `echoed` count the whole run. Exit status 1 with a line on stderr if a byte comes
 * back wrong or a connection ends early.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_DEPTH = 64, CHUNK = 256 * 1024, EVENTS = 256 };
/* The stream repeats with a prime period, so a lost, doubled or shifted piece is seen. */
enum { PERIOD = 4093 };
/* Below the backlog of 100 that asyncio listens with: no SYN is ever dropped in the ramp. */
enum { OPENING_AT_ONCE = 64 };
/* One loopback address has 28,000 ports, each kept a while in TIME_WAIT after a close. */
enum { SOURCE_ADDRESSES = 250 };
/* Longest silence from a server before the run is called dead. */
enum { SILENCE_MS = 10000 };
/* A server of several processes has so many at most. */
enum { SERVER_PROCESSES = 64 };

typedef uint64_t u64;
enum mode { ECHO, CONNECT, IDLE };
enum phase { RAMP, WARM, MEASURE, FINISH, CLOSE };

struct connection {
    int fd;
    int wants_write;
    u64 sent, got;            /* bytes */
    u64 began[MAX_DEPTH];     /* when each outstanding message started, ns */
};

/* What was asked. */
static enum mode mode = ECHO;
static int port, connections = 1, depth = 1;
static clockid_t server_clocks[SERVER_PROCESSES];
static int processes;
static u64 size = 64, limit;
static double warmup = 0.1, seconds = 1;
static int spin; /* poll without sleeping: on a core of its own it halves the wake-ups */

/* Where the run stands. */
static enum phase phase = RAMP;
static struct connection *all;
static int epoll, opened, ready, closed;
static u64 sent, echoed, measured;
static u64 phase_began, cpu_began;
static char pattern[CHUNK + PERIOD], inbox[CHUNK];

static void die(const char *what)
{
    fprintf(stderr, "load: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

static u64 read_clock(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t))
        die("the server's clock cannot be read: is it running?");
    return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

static u64 now(void) { return read_clock(CLOCK_MONOTONIC); }

static u64 server_cpu(void)
{
    u64 total = 0;
    for (int i = 0; i < processes; i++)
        total += read_clock(server_clocks[i]);
    return total;
}

/* ---- latency: 32 buckets per power of two, so within 3 % of the true figure ---- */

static u64 buckets[64 * 32];

static void record(u64 ns)
{
    int shift = ns < 32 ? 0 : 58 - __builtin_clzll(ns);
    buckets[shift * 32 + (int)(ns >> shift)]++;
}

static double percentile_us(double share)
{
    u64 seen = 0, wanted = (u64)(share * (double)measured);
    for (int i = 0; i < 64 * 32; i++)
        if ((seen += buckets[i]) > wanted) {
            int shift = i < 64 ? 0 : i / 32 - 1;
            return (double)((u64)(i - shift * 32) << shift) / 1000;
        }
    return 0;
}

/* ---- one connection ---- */

static void watch(struct connection *c, int operation)
{
    struct epoll_event event = {EPOLLIN | (c->wants_write ? EPOLLOUT : 0), {.ptr = c}};
    if (epoll_ctl(epoll, operation, c->fd, &event))
        die("epoll_ctl");
}

static void want_write(struct connection *c, int wanted)
{
    if (c->wants_write != wanted) {
        c->wants_write = wanted;
        watch(c, EPOLL_CTL_MOD);
    }
}

/* Send what the depth allows; the last phases only finish messages already begun. */
static void pump(struct connection *c)
{
    u64 whole = c->got / size;
    u64 allowed = (whole + (u64)depth) * size;
    if (phase == RAMP)
        allowed = size;
    if (phase >= FINISH)
        allowed = (c->sent + size - 1) / size * size;
    while (c->sent < allowed) {
        u64 length = allowed - c->sent;
        if (length > CHUNK)
            length = CHUNK;
        u64 time = now();
        ssize_t n = send(c->fd, pattern + c->sent % PERIOD, length, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            want_write(c, 1);
            return;
        }
        if (n < 0)
            die("send");
        u64 first = (c->sent + size - 1) / size, end = c->sent + (u64)n;
        for (u64 m = first; m * size < end; m++, sent++)
            if (mode != CONNECT)
                c->began[m % (u64)depth] = time;
        c->sent = end;
    }
    want_write(c, 0);
}

static void open_connection(struct connection *c)
{
    static unsigned turn;
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    int on = 1;
    *c = (struct connection){.began = {now()}};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + turn++ % SOURCE_ADDRESSES);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)port);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from))
        die("bind");
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to))
        die("connect");
    opened++;
    watch(c, EPOLL_CTL_ADD);
    pump(c);
}

static void message_echoed(struct connection *c, u64 index, u64 time)
{
    echoed++;
    if (phase == MEASURE) {
        measured++;
        record(time - c->began[index % (u64)depth]);
    }
    if (phase == RAMP && mode != CONNECT) {
        ready++;
        if (opened < connections)
            open_connection(&all[opened]);
    }
}

static void receive(struct connection *c)
{
    ssize_t n = recv(c->fd, inbox, CHUNK, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n < 0)
        die("recv");
    if (n == 0) {
        if (phase != CLOSE)
            die("the server closed a connection");
        close(c->fd);
        closed++;
        return;
    }
    if (c->got + (u64)n > c->sent || memcmp(inbox, pattern + c->got % PERIOD, (size_t)n))
        die("what came back is not what was sent");
    u64 time = now(), index = c->got / size;
    c->got += (u64)n;
    for (; (index + 1) * size <= c->got; index++)
        message_echoed(c, index, time);
    if (mode == CONNECT && c->got == size) {
        close(c->fd);
        c->fd = -1;
        closed++;
        if (phase < FINISH)
            open_connection(c);
    } else if (phase != RAMP) {
        pump(c);
    }
}

/* ---- the run ---- */

static void report(double took, u64 cpu)
{
    printf("{\"messages\": %llu, \"seconds\": %.6f, \"server_cpu\": %.9f, \"p50_us\": %.1f, "
           "\"p99_us\": %.1f, \"sent\": %llu, \"echoed\": %llu, \"connections\": %d}\n",
           (unsigned long long)measured, took, (double)cpu / 1e9, percentile_us(0.5),
           percentile_us(0.99), (unsigned long long)sent, (unsigned long long)echoed, opened);
    fflush(stdout);
}

static void enter(enum phase next)
{
    phase = next;
    phase_began = now();
    if (next == WARM && mode == ECHO)
        for (int i = 0; i < connections; i++)
            pump(&all[i]);
    if (next == MEASURE)
        cpu_began = server_cpu();
    if (next == CLOSE && mode != CONNECT)
        for (int i = 0; i < connections; i++)
            shutdown(all[i].fd, SHUT_WR);
}

static void hold(void)
{
    char byte;
    report(0, 0);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
}

/* Move to the next phase when this one is over. */
static void advance(void)
{
    static double took;
    static u64 cpu;
    double elapsed = (double)(now() - phase_began) / 1e9;
    if (phase == RAMP && (mode == CONNECT || ready == connections)) {
        if (mode == IDLE)
            hold();
        enter(mode == IDLE ? CLOSE : WARM);
    } else if (phase == WARM && elapsed >= warmup) {
        enter(MEASURE);
    } else if (phase == MEASURE && (limit ? measured >= limit : elapsed >= seconds)) {
        cpu = server_cpu() - cpu_began;
        took = elapsed;
        enter(FINISH);
    } else if (phase == FINISH && sent == echoed) {
        report(took, cpu);
        enter(CLOSE);
    }
}

static void run(void)
{
    struct epoll_event events[EVENTS];
    int first = connections < OPENING_AT_ONCE ? connections : OPENING_AT_ONCE;
    u64 heard = phase_began = now();
    for (int i = 0; i < first; i++)
        open_connection(&all[i]);
    while (phase != CLOSE || closed < opened) {
        int n = epoll_wait(epoll, events, EVENTS, spin ? 0 : SILENCE_MS);
        if (n > 0)
            heard = now();
        else if (now() - heard > SILENCE_MS * 1000000ull)
            die("the server has been silent for 10 s");
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                pump(c);
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                receive(c);
        }
        advance();
    }
}

static enum mode mode_named(const char *name)
{
    const char *names[] = {"echo", "connect", "idle"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, names[i]))
            return (enum mode)i;
    die("--mode is echo, connect or idle");
    return ECHO;
}

static void add_process(pid_t pid)
{
    if (processes == SERVER_PROCESSES)
        die("--pid: at most 64");
    if (clock_getcpuclockid(pid, &server_clocks[processes++]))
        die("--pid names no process whose CPU clock can be read");
}

static void parse(int argc, char **argv)
{
    const struct option options[] = {
        {"mode", 1, 0, 'm'},  {"port", 1, 0, 'p'},    {"connections", 1, 0, 'c'},
        {"size", 1, 0, 's'},  {"depth", 1, 0, 'd'},   {"warmup", 1, 0, 'w'},
        {"pid", 1, 0, 'P'},   {"seconds", 1, 0, 't'}, {"messages", 1, 0, 'n'},
        {"spin", 0, 0, 'S'},  {0, 0, 0, 0}};
    for (int o; (o = getopt_long(argc, argv, "", options, 0)) != -1;) {
        switch (o) {
        case 'm': mode = mode_named(optarg); break;
        case 'p': port = atoi(optarg); break;
        case 'c': connections = atoi(optarg); break;
        case 's': size = (u64)atoll(optarg); break;
        case 'd': depth = atoi(optarg); break;
        case 'w': warmup = atof(optarg); break;
        case 'P': add_process(atoi(optarg)); break;
        case 't': seconds = atof(optarg); break;
        case 'n': limit = (u64)atoll(optarg); break;
        case 'S': spin = 1; break;
        default: exit(2);
        }
    }
    if (!port || connections < 1 || size < 1 || depth < 1 || depth > MAX_DEPTH)
        die("--port is needed; --connections and --size are at least 1, --depth is 1 to 64");
    if (mode != ECHO && depth != 1)
        die("--depth goes with --mode echo");
    if (mode == CONNECT && connections > OPENING_AT_ONCE)
        die("--mode connect keeps at most 64 connections open");
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    for (int i = 0; i < PERIOD; i++)
        pattern[i] = (char)(((unsigned)i * 2654435761u) >> 13);
    for (int i = PERIOD; i < (int)sizeof pattern; i++)
        pattern[i] = pattern[i - PERIOD];
    all = calloc((size_t)connections, sizeof *all);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!all || epoll < 0)
        die("out of memory or descriptors");
    run();
    return 0;
}
