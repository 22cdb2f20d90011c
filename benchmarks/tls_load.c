/* Load generator for TLS servers: one thread, one epoll, every byte verified.
 *
 *   tls_load --mode echo --port 8007 --connections 100 --size 1024 --seconds 1 --pid SERVER
 *
 * Of a server of several processes, give --pid for each.
 *
 * Modes
 *   echo       open the connections, then keep one message outstanding on each
 *   upload     send messages without end; the server answers each MiB with its last byte,
 *              and only what is answered counts
 *   download   send one byte, then read messages without end
 *   handshake  open a connection, shake hands, close once there is a ticket for another, again;
 *              `connections` at a time
 *   resume     the same with the newest ticket of its place, and without waiting for another:
 *              not every server sends one
 *   idle       open the connections, one message each, then hold them until stdin ends
 *   half       send a hello on each, never answer the server's; hold them until stdin ends
 *
 * A window lasts --seconds, and longer if fewer than --messages (1) have come by then.
 *
 * It offers TLS 1.3, TLS_AES_128_GCM_SHA256 and X25519 alone, so that everybody negotiates
 * the same. One line of JSON on stdout. `messages` fall in the measured window (in handshake
 * and resume they are connections); `sent` and `echoed` count the whole run. Exit status 1 with
 * a line on stderr if a byte comes back wrong or a connection ends early.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024, MIB = 1024 * 1024, EVENTS = 256 };
/* The stream repeats with a prime period, so a lost, doubled or shifted piece is seen. */
enum { PERIOD = 251 };
/* Below the backlog of 100 that asyncio listens with: no SYN is ever dropped in the ramp. */
enum { OPENING_AT_ONCE = 64 };
/* One loopback address has 28,000 ports, each kept a while in TIME_WAIT after a close. */
enum { SOURCE_ADDRESSES = 250 };
/* Longest silence from a server before the run is called dead. */
enum { SILENCE_MS = 10000 };
/* A server of several processes has so many at most. */
enum { SERVER_PROCESSES = 64 };

typedef uint64_t u64;
enum mode { ECHO, UPLOAD, DOWNLOAD, HANDSHAKE, RESUME, IDLE, HALF, MODES };
enum phase { RAMP, WARM, MEASURE, FINISH, CLOSE };
enum state { SHAKING, OPEN, LEAVING, GONE };

struct connection {
    SSL *ssl;
    SSL_SESSION *session;     /* the newest ticket, kept from one connection to the next */
    int fd, wants_write, has_ticket;
    enum state state;
    int pending;              /* bytes of a write that OpenSSL wants to see again */
    u64 sent, got;            /* bytes; in mode upload `got` is answers */
    u64 began;                /* the outstanding message or the connection, ns */
};

static const char *const names[MODES] = {"echo",   "upload", "download", "handshake",
                                         "resume", "idle",   "half"};

/* What was asked. */
static enum mode mode = ECHO;
static int port, connections = 1;
static clockid_t server_clocks[SERVER_PROCESSES];
static int processes;
static u64 size = 1024, least = 1;
static double warmup = 0.1, seconds = 1;
static int spin; /* poll without sleeping: on a core of its own it halves the wake-ups */

/* Where the run stands. */
static enum phase phase = RAMP;
static struct connection *all;
static SSL_CTX *context;
static int epoll, opened, ready, closed;
static u64 sent, echoed, measured, resumed;
static u64 phase_began, cpu_began, heard;
static char facts[160]; /* what the first connection negotiated, and so must all */
static char pattern[CHUNK + PERIOD], inbox[CHUNK];

static void die(const char *what)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    fprintf(stderr, "tls_load: %s%s%s%s%s\n", what, why ? ": " : "", why ? why : "",
            errno ? ": " : "", errno ? strerror(errno) : "");
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

static u64 buckets[64 * 32], timed;

static void record(u64 ns)
{
    int shift = ns < 32 ? 0 : 58 - __builtin_clzll(ns);
    buckets[shift * 32 + (int)(ns >> shift)]++;
    timed++;
}

static double percentile_us(double share)
{
    u64 seen = 0, wanted = (u64)(share * (double)timed);
    for (int i = 0; i < 64 * 32; i++)
        if ((seen += buckets[i]) > wanted) {
            int shift = i < 64 ? 0 : i / 32 - 1;
            return (double)((u64)(i - shift * 32) << shift) / 1000;
        }
    return 0;
}

/* ---- one connection ---- */

static int shakes_only(void) { return mode == HANDSHAKE || mode == RESUME; }

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

/* Errors of the last call must not be read as this one's. */
static void clear(void)
{
    ERR_clear_error();
    errno = 0;
}

/* Whether OpenSSL only has to wait; 0: the connection is over or broken. */
static int waits(struct connection *c, int returned)
{
    int error = SSL_get_error(c->ssl, returned);
    if (error == SSL_ERROR_WANT_WRITE)
        want_write(c, 1);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* Up to where this connection may send; what was begun is finished in the last phases. */
static u64 allowance(const struct connection *c)
{
    u64 begun = c->sent + (u64)c->pending, unit = mode == UPLOAD ? MIB : size;
    if (mode == DOWNLOAD)
        return 1;
    if (phase >= FINISH)
        return (begun + unit - 1) / unit * unit;
    if (mode == UPLOAD)
        return (c->sent / size + 1) * size; /* one message in a turn: others want theirs */
    return phase == RAMP ? size : (c->got / size + 1) * size;
}

static void pump(struct connection *c)
{
    u64 allowed = allowance(c);
    while (c->sent < allowed) {
        u64 length = allowed - c->sent < size ? allowed - c->sent : size;
        if (c->sent % size == 0 && !c->pending)
            c->began = now();
        if (!c->pending)
            c->pending = (int)length;
        clear();
        int n = SSL_write(c->ssl, pattern + c->sent % PERIOD, c->pending);
        if (n <= 0) {
            if (!waits(c, n))
                die("SSL_write");
            return;
        }
        c->pending = 0;
        c->sent += (u64)n;
        if (c->sent % size == 0)
            sent++;
    }
    want_write(c, mode == UPLOAD && phase < FINISH);
}

static void shake(struct connection *c);

/* Send a hello and no more: it is made in memory, where no answer can be read. */
static void greet(struct connection *c)
{
    char *hello;
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set_bio(c->ssl, BIO_new(BIO_s_mem()), out);
    SSL_do_handshake(c->ssl);
    long length = BIO_get_mem_data(out, &hello);
    if (send(c->fd, hello, (size_t)length, MSG_NOSIGNAL) != length)
        die("send");
}

static void offer_session(struct connection *c)
{
    /* OpenSSL spoils a session once it was used; not every server sends another. */
    SSL_SESSION *copy = c->session ? SSL_SESSION_dup(c->session) : 0;
    if (copy && !SSL_set_session(c->ssl, copy))
        die("SSL_set_session");
    SSL_SESSION_free(copy);
}

static void open_connection(struct connection *c)
{
    static unsigned turn;
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    int on = 1;
    *c = (struct connection){.session = c->session, .began = now()};
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
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->ssl = SSL_new(context);
    SSL_set_app_data(c->ssl, c);
    SSL_set_tlsext_host_name(c->ssl, "localhost");
    SSL_set_connect_state(c->ssl);
    offer_session(c);
    opened++;
    watch(c, EPOLL_CTL_ADD);
    if (mode == HALF) {
        greet(c);
    } else {
        SSL_set_fd(c->ssl, c->fd);
        shake(c);
    }
}

/* A connection is where the mode wants it before anything is measured. */
static void arrived(void)
{
    ready++;
    if (opened < connections)
        open_connection(&all[opened]);
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct connection *c = SSL_get_app_data(ssl);
    c->has_ticket = 1;
    if (mode != RESUME)
        return 0;
    SSL_SESSION_free(c->session);
    c->session = session;
    return 1;
}

static void compare_facts(struct connection *c)
{
    char found[sizeof facts];
    EVP_PKEY *key = X509_get0_pubkey(SSL_get0_peer_certificate(c->ssl));
    snprintf(found, sizeof found, "%s, %s, %s, %s %d", SSL_get_version(c->ssl),
             SSL_get_cipher_name(c->ssl),
             SSL_group_to_name(c->ssl, (int)SSL_get_negotiated_group(c->ssl)),
             EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
    if (!*facts)
        strcpy(facts, found);
    if (strcmp(facts, found))
        die("two connections negotiated different things");
}

/* Say goodbye as a client that has nothing left to say; then read to the end. */
static void leave(struct connection *c)
{
    c->state = LEAVING;
    clear();
    SSL_shutdown(c->ssl);
    shutdown(c->fd, SHUT_WR);
    want_write(c, 0);
}

static void gone(struct connection *c)
{
    int was_resumed = SSL_session_reused(c->ssl);
    SSL_free(c->ssl);
    close(c->fd);
    c->state = GONE;
    closed++;
    if (!shakes_only())
        return;
    echoed++;
    if (phase == RAMP)
        ready++;
    if (phase == MEASURE) {
        measured++;
        resumed += (u64)was_resumed;
        record(now() - c->began);
    }
    if (phase < FINISH && !(phase == RAMP && mode == RESUME)) /* all need a ticket first */
        open_connection(c);
}

static void shake(struct connection *c)
{
    clear();
    int n = SSL_do_handshake(c->ssl);
    if (n != 1) {
        if (!waits(c, n))
            die("the handshake failed");
        return;
    }
    want_write(c, 0);
    compare_facts(c);
    c->state = OPEN;
    if (shakes_only()) {
        sent++;
        if (SSL_session_reused(c->ssl))
            leave(c);
    } else if (mode == ECHO || mode == IDLE) {
        pump(c);
    } else {
        arrived();
    }
}

/* ---- what comes back ---- */

static void came_back(struct connection *c, u64 length)
{
    if (c->got + length > c->sent || memcmp(inbox, pattern + c->got % PERIOD, length))
        die("what came back is not what was sent");
    u64 before = c->got / size;
    c->got += length;
    if (c->got / size == before)
        return;
    echoed++;
    if (phase == MEASURE) {
        measured++;
        record(now() - c->began);
    }
    if (phase == RAMP)
        arrived();
    else
        pump(c);
}

static void answered(struct connection *c, u64 length)
{
    for (u64 i = 0; i < length; i++) {
        c->got++;
        if (c->got * MIB > c->sent || inbox[i] != pattern[(c->got * MIB - 1) % PERIOD])
            die("an answer is not the last byte of a MiB that was sent");
        echoed += MIB / size;
        if (phase == MEASURE)
            measured += MIB / size;
    }
}

/* Each message begins the pattern anew. */
static void came(struct connection *c, u64 length)
{
    for (u64 done = 0, piece; done < length; done += piece) {
        u64 at = c->got % size;
        piece = length - done < size - at ? length - done : size - at;
        if (memcmp(inbox + done, pattern + at % PERIOD, piece))
            die("what came is not what the source sends");
        c->got += piece;
        if (c->got % size == 0 && phase == MEASURE)
            measured++;
    }
}

/* Nothing more is there for now, or for good. */
static void pause_or_end(struct connection *c, int returned)
{
    if (waits(c, returned)) {
        if (shakes_only() && c->state == OPEN && c->has_ticket)
            leave(c);
        return;
    }
    if (c->state != LEAVING)
        die("the server closed a connection");
    gone(c);
}

static void receive(struct connection *c)
{
    do {
        clear();
        int n = SSL_read(c->ssl, inbox, CHUNK);
        if (n <= 0) {
            pause_or_end(c, n);
            return;
        }
        if (c->state == LEAVING)
            continue;
        if (mode == UPLOAD)
            answered(c, (u64)n);
        else if (mode == DOWNLOAD)
            came(c, (u64)n);
        else
            came_back(c, (u64)n);
    } while (SSL_has_pending(c->ssl));
}

static void handle(struct connection *c, uint32_t events)
{
    if (c->state == SHAKING && mode == HALF) {
        if (epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, 0))
            die("epoll_ctl");
        arrived();
    } else if (c->state == SHAKING) {
        shake(c);
    } else {
        if (events & EPOLLOUT && c->state == OPEN)
            pump(c);
        if (events & ~(uint32_t)EPOLLOUT)
            receive(c);
    }
}

/* ---- the run ---- */

static void report(double took, u64 cpu)
{
    printf("{\"messages\": %llu, \"seconds\": %.6f, \"server_cpu\": %.9f, \"p50_us\": %.1f, "
           "\"p99_us\": %.1f, \"sent\": %llu, \"echoed\": %llu, \"connections\": %d, "
           "\"resumed\": %llu, \"negotiated\": \"%s\"}\n",
           (unsigned long long)measured, took, (double)cpu / 1e9, percentile_us(0.5),
           percentile_us(0.99), (unsigned long long)sent, (unsigned long long)echoed, opened,
           (unsigned long long)resumed, facts);
    fflush(stdout);
}

static void enter(enum phase next)
{
    phase = next;
    phase_began = now();
    for (int i = 0; next == WARM && mode != HANDSHAKE && i < connections; i++)
        if (mode == RESUME)
            open_connection(&all[i]);
        else
            pump(&all[i]);
    if (next == MEASURE)
        cpu_began = server_cpu();
    if (next == CLOSE && !shakes_only())
        for (int i = 0; i < connections; i++)
            leave(&all[i]);
}

/* Hold the connections until stdin ends, and see that the server held them too. */
static void hold(void)
{
    char byte;
    report(0, 0);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    for (int i = 0; i < connections; i++) {
        struct tcp_info info = {0};
        socklen_t length = sizeof info;
        getsockopt(all[i].fd, IPPROTO_TCP, TCP_INFO, &info, &length);
        if (info.tcpi_state != TCP_ESTABLISHED)
            die("the server closed a connection that was to be held");
    }
    if (mode == HALF)
        exit(0);
    heard = now(); /* it was we who were silent */
}

/* Whether everything that was begun is answered. */
static int answered_all(void)
{
    if (mode == DOWNLOAD)
        return 1;
    for (int i = 0; !shakes_only() && i < connections; i++)
        if (all[i].sent < allowance(&all[i]))
            return 0;
    return sent == echoed;
}

/* Move to the next phase when this one is over. */
static void advance(void)
{
    static double took;
    static u64 cpu;
    double elapsed = (double)(now() - phase_began) / 1e9;
    if (phase == RAMP && (mode == HANDSHAKE || ready >= connections)) {
        if (mode == IDLE || mode == HALF)
            hold();
        enter(mode == IDLE ? CLOSE : WARM);
    } else if (phase == WARM && elapsed >= warmup) {
        enter(MEASURE);
    } else if (phase == MEASURE && elapsed >= seconds && measured >= least) {
        cpu = server_cpu() - cpu_began;
        took = elapsed;
        enter(FINISH);
    } else if (phase == FINISH && answered_all()) {
        report(took, cpu);
        enter(CLOSE);
    }
}

static void run(void)
{
    struct epoll_event events[EVENTS];
    int first = connections < OPENING_AT_ONCE ? connections : OPENING_AT_ONCE;
    heard = phase_began = now();
    while (opened < first) /* one that shakes hands at once opens its successor itself */
        open_connection(&all[opened]);
    while (phase != CLOSE || closed < opened) {
        int n = epoll_wait(epoll, events, EVENTS, spin ? 0 : SILENCE_MS);
        errno = 0;
        if (n > 0)
            heard = now();
        else if (now() - heard > SILENCE_MS * 1000000ull)
            die("the server has been silent for 10 s");
        for (int i = 0; i < n; i++)
            handle(events[i].data.ptr, events[i].events);
        advance();
    }
}

static void offer(void)
{
    context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") ||
        !SSL_CTX_set1_groups_list(context, "X25519"))
        die("OpenSSL");
    SSL_CTX_set_mode(context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    /* One recv for a record or more, so that the generator costs less than a server. */
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, mode == DOWNLOAD ? CHUNK : 0);
}

static enum mode mode_named(const char *name)
{
    for (int i = 0; i < MODES; i++)
        if (!strcmp(name, names[i]))
            return (enum mode)i;
    die("--mode is echo, upload, download, handshake, resume, idle or half");
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
        {"mode", 1, 0, 'm'},   {"port", 1, 0, 'p'}, {"connections", 1, 0, 'c'},
        {"size", 1, 0, 's'},   {"pid", 1, 0, 'P'},  {"seconds", 1, 0, 't'},
        {"warmup", 1, 0, 'w'}, {"spin", 0, 0, 'S'}, {"messages", 1, 0, 'n'},
        {0, 0, 0, 0}};
    for (int o; (o = getopt_long(argc, argv, "", options, 0)) != -1;) {
        switch (o) {
        case 'm': mode = mode_named(optarg); break;
        case 'p': port = atoi(optarg); break;
        case 'c': connections = atoi(optarg); break;
        case 's': size = (u64)atoll(optarg); break;
        case 'w': warmup = atof(optarg); break;
        case 'P': add_process(atoi(optarg)); break;
        case 't': seconds = atof(optarg); break;
        case 'n': least = (u64)atoll(optarg); break;
        case 'S': spin = 1; break;
        default: exit(2);
        }
    }
    if (!port || connections < 1 || size < 1 || size > CHUNK)
        die("--port is needed; --connections is at least 1, --size is 1 to 262144");
    if (mode == UPLOAD && MIB % size)
        die("--mode upload needs a --size that divides 1 MiB");
    if (shakes_only() && connections > OPENING_AT_ONCE)
        die("--mode handshake and resume keep at most 64 connections open");
}

int main(int argc, char **argv)
{
    errno = 0;
    parse(argc, argv);
    for (int i = 0; i < (int)sizeof pattern; i++)
        pattern[i] = (char)(i % PERIOD);
    all = calloc((size_t)connections, sizeof *all);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!all || epoll < 0)
        die("out of memory or descriptors");
    offer();
    run();
    return 0;
}
