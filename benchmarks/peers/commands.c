/* What C makes of the command runner's work, for benchmarks/commands.py:
 *
 *   commands start LIMIT COUNT      /bin/true COUNT times, LIMIT at a time
 *   commands stream BYTES           read so many bytes from one child, 1 MiB pipe
 *   commands lines CHILDREN LINES   from so many children at once so many lines each, every
 *                                   line to standard output with a prefix, none broken
 *
 * Prints the seconds that it took, on standard error. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
enum { CHUNK = 1 << 16, LARGE = 1 << 20 };

static void die(const char *what) {
    fprintf(stderr, "commands: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static pid_t spawned(char *const words[], int out) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t pid;
    posix_spawn_file_actions_init(&actions);
    if (out >= 0) posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    errno = posix_spawn(&pid, words[0], &actions, &attributes, words, environ);
    if (errno) die(words[0]);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return pid;
}

static void start(int limit, int count) {
    char *const words[] = {"/bin/true", NULL};
    int status, running = 0;
    while (count || running) {
        for (; count && running < limit; count--, running++) spawned(words, -1);
        if (wait(&status) < 0) die("wait");
        running--;
    }
}

static int piped(char *const words[], int size) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) die("pipe");
    fcntl(ends[0], F_SETPIPE_SZ, size);
    spawned(words, ends[1]);
    close(ends[1]);
    return ends[0];
}

static void stream(char *bytes) {
    char *const words[] = {"/usr/bin/head", "-c", bytes, "/dev/zero", NULL};
    static char buffer[LARGE];
    long long left = atoll(bytes);
    int from = piped(words, LARGE);
    ssize_t got;
    while ((got = read(from, buffer, sizeof buffer)) > 0) left -= got;
    if (left) die("stream");
    wait(NULL);
}

struct child {
    char held[2 * CHUNK];
    size_t count;
    char prefix[16];
};

static void put(struct child *it, char *lines, size_t size) {
    static char out[8 * CHUNK];
    size_t width = strlen(it->prefix), used = 0;
    for (char *line = lines, *end = lines + size; line < end;) {
        char *stop = memchr(line, '\n', end - line) + 1;
        memcpy(out + used, it->prefix, width);
        memcpy(out + used + width, line, stop - line);
        used += width + (stop - line);
        line = stop;
    }
    for (size_t done = 0; done < used;) {
        ssize_t put = write(1, out + done, used - done);
        if (put < 0) die("write");
        done += put;
    }
}

static void lines(int children, char *each) {
    char script[128];
    snprintf(script, sizeof script, "seq -f 'line %%.0f of some text to read' %s", each);
    char *const words[] = {"/bin/sh", "-c", script, NULL};
    struct child *all = calloc(children, sizeof *all);
    struct pollfd *polled = calloc(children, sizeof *polled);
    for (int i = 0; i < children; i++) {
        snprintf(all[i].prefix, sizeof all[i].prefix, "[%d] ", i);
        polled[i] = (struct pollfd){piped(words, CHUNK), POLLIN, 0};
    }
    for (int open = children; open;) {
        if (poll(polled, children, -1) < 0) die("poll");
        for (int i = 0; i < children; i++) {
            struct child *it = &all[i];
            if (polled[i].fd < 0 || !polled[i].revents) continue;
            ssize_t got = read(polled[i].fd, it->held + it->count, CHUNK);
            if (got <= 0) {
                close(polled[i].fd);
                polled[i].fd = -1;
                open--;
                continue;
            }
            it->count += got;
            char *last = memrchr(it->held, '\n', it->count);
            if (!last) continue;
            size_t whole = last + 1 - it->held;
            put(it, it->held, whole);
            memmove(it->held, it->held + whole, it->count -= whole);
        }
    }
    while (wait(NULL) > 0) continue;
}

int main(int count, char **words) {
    double began = now();
    if (count == 4 && !strcmp(words[1], "start")) start(atoi(words[2]), atoi(words[3]));
    else if (count == 3 && !strcmp(words[1], "stream")) stream(words[2]);
    else if (count == 4 && !strcmp(words[1], "lines")) lines(atoi(words[2]), words[3]);
    else return fprintf(stderr, "usage: see the source\n"), 2;
    fprintf(stderr, "%.6f\n", now() - began);
    return 0;
}
