/* A guest in C that knows docs/protocol.md and nothing of Symphony: `cc protocol_guest.c`, only libc. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HELLO = 1, WELCOME, REFUSED, READY, REQUEST, REPLY, ERROR, ITEM, END, CANCEL, CREDIT, PING = 15, PONG, STOP, STOPPED };
enum { SLOW, COUNT, BROKEN };
struct job { uint64_t correlation; int operation; double due; int64_t next, many, credit; struct job *rest; };

static int lane;
static struct job *jobs;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void put(const void *bytes, size_t length) {
    const char *at = bytes;
    while (length) {
        ssize_t wrote = write(lane, at, length);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) exit(0);
        at += wrote, length -= wrote;
    }
}

static void get(void *bytes, size_t length) {
    char *at = bytes;
    while (length) {
        ssize_t got = read(lane, at, length);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) exit(0); /* the host is gone */
        at += got, length -= got;
    }
}

/* The fields of a header, little endian as this page's machines are. */
struct header { uint16_t magic; uint8_t version, kind; uint16_t flags, reserved; uint32_t channel, length; uint64_t correlation, deadline; };

static void send_frame(int kind, uint64_t correlation, const void *body, size_t length) {
    struct header header = {0x5359, 1, kind, 0, 0, 0, length, correlation, 0};
    put(&header, sizeof header);
    put(body, length);
}

static uint64_t big(const uint8_t *at, int size) {
    uint64_t number = 0;
    while (size--) number = number << 8 | *at++;
    return number;
}

/* Where what a value holds begins; how many bytes it has and how many values are inside. */
static const uint8_t *open_value(const uint8_t *at, uint64_t *size, uint64_t *values) {
    uint8_t kind = *at++;
    int width;
    *size = *values = 0;
    if (kind < 0x80 || kind >= 0xe0) return at;
    if (kind < 0x90) { *values = 2 * (kind & 15); return at; }
    if (kind < 0xa0) { *values = kind & 15; return at; }
    if (kind < 0xc0) { *size = kind & 31; return at; }
    if (kind <= 0xc3) return at;
    if (kind <= 0xc6) { width = 1 << (kind - 0xc4); *size = big(at, width); return at + width; }
    if (kind == 0xca || kind == 0xcb) { *size = kind == 0xca ? 4 : 8; return at; }
    if (kind >= 0xcc && kind <= 0xd3) { *size = 1 << ((kind - 0xcc) & 3); return at; }
    if (kind >= 0xd9 && kind <= 0xdb) { width = 1 << (kind - 0xd9); *size = big(at, width); return at + width; }
    width = kind & 1 ? 4 : 2; /* 0xdc, 0xdd: arrays; 0xde, 0xdf: maps */
    *values = big(at, width) * (kind >= 0xde ? 2 : 1);
    return at + width;
}

static const uint8_t *after(const uint8_t *at) {
    uint64_t size, values, open = 1;
    while (open) {
        at = open_value(at, &size, &values) + size;
        open += values - 1;
    }
    return at;
}

static double number(const uint8_t *at) {
    uint8_t kind = *at;
    int width = after(at) - at - 1;
    uint64_t bits = big(at + 1, width);
    float single;
    double twice;
    uint32_t half = bits;
    if (kind == 0xca) { memcpy(&single, &half, 4); return single; }
    if (kind == 0xcb) { memcpy(&twice, &bits, 8); return twice; }
    if (!width) return kind < 0x80 ? kind : (double)kind - 256;
    if (kind >= 0xd0) return (int64_t)(bits << (64 - 8 * width)) >> (64 - 8 * width);
    return bits;
}

static void fail(uint64_t correlation, const char *code, const void *message, size_t length) {
    size_t start = strlen(code), at = 0;
    uint8_t *body = malloc(length + start + 32);
    body[at++] = 0x82;
    memcpy(body + at, "\xa4" "code", 5), at += 5;
    body[at++] = 0xa0 | start;
    memcpy(body + at, code, start), at += start;
    memcpy(body + at, "\xa7" "message", 8), at += 8;
    body[at++] = 0xdb;
    for (int shift = 24; shift >= 0; shift -= 8) body[at++] = length >> shift;
    memcpy(body + at, message, length), at += length;
    send_frame(ERROR, correlation, body, at);
    free(body);
}

static size_t integer(uint8_t *body, int64_t value) {
    body[0] = 0xd3;
    for (int index = 0; index < 8; index++) body[1 + index] = (uint64_t)value >> (56 - 8 * index);
    return 9;
}

static void begin(uint64_t correlation, const uint8_t *body, int streaming) {
    static const char *names[] = {"echo", "fail", "die", "slow", "count", "broken"};
    static const char *needs[] = {"value", "message", "", "seconds", "many", "many"};
    uint64_t size, values, name_size;
    const uint8_t *name = open_value(open_value(body, &size, &values), &name_size, &values);
    const uint8_t *at = open_value(after(name + name_size), &size, &values), *input = NULL;
    int which = 0;
    while (which < 6 && (strlen(names[which]) != name_size || memcmp(names[which], name, name_size))) which++;
    if (which == 6) { fail(correlation, "unknown-operation", "no such operation", 17); return; }
    for (uint64_t entry = 0; entry < values / 2; entry++) {
        uint64_t key_size, none;
        const uint8_t *key = open_value(at, &key_size, &none), *value = key + key_size;
        if (key_size == strlen(needs[which]) && !memcmp(key, needs[which], key_size)) input = value;
        at = after(value);
    }
    if (which == 2) _exit(3);
    if (!input) { fail(correlation, "invalid-value", "an input is missing", 19); return; }
    if (which == 0) { send_frame(REPLY, correlation, input, after(input) - input); return; }
    if (which == 1) {
        const uint8_t *message = open_value(input, &size, &values);
        fail(correlation, "remote-error", message, size);
        return;
    }
    if (which == 5 && !streaming) { fail(correlation, "remote-error", "broken in the middle", 20); return; }
    if (which == 4 && !streaming) {
        int64_t many = number(input);
        uint8_t *all = malloc(5 + 9 * many);
        size_t length = 5;
        all[0] = 0xdd;
        for (int shift = 24, index = 1; shift >= 0; shift -= 8) all[index++] = many >> shift;
        for (int64_t item = 0; item < many; item++) length += integer(all + length, item);
        send_frame(REPLY, correlation, all, length);
        free(all);
        return;
    }
    struct job *job = calloc(1, sizeof *job);
    *job = (struct job){correlation, which - 3, now() + number(input), 0, number(input), 64, jobs};
    jobs = job;
}

/* Goes on with what is open; in how many milliseconds there is something to do, -1 for nothing. */
static int work(void) {
    int soonest = -1;
    struct job **place = &jobs, *job;
    while ((job = *place)) {
        int done = 0;
        uint8_t item[9];
        if (job->operation == SLOW) {
            double left = job->due - now();
            if (left <= 0) { send_frame(REPLY, job->correlation, "\xc3", 1); done = 1; }
            else if (soonest < 0 || left * 1000 < soonest) soonest = left * 1000 + 1;
        } else {
            for (; job->next < job->many && job->credit > 0; job->next++, job->credit--)
                send_frame(ITEM, job->correlation, item, integer(item, job->next));
            done = job->next == job->many;
            if (done && job->operation == BROKEN) fail(job->correlation, "remote-error", "broken in the middle", 20);
            else if (done) send_frame(END, job->correlation, "", 0);
        }
        if (done) { *place = job->rest; free(job); }
        else place = &job->rest;
    }
    return soonest;
}

static void greet(const char *name) {
    static const char *names[] = {"echo", "fail", "die", "slow", "count", "broken"};
    uint8_t body[512];
    size_t at = 0, length = strlen(name);
    body[at++] = 0x83;
    memcpy(body + at, "\xa8" "protocol" "\x92\x01\x01" "\xa4" "name", 17), at += 17;
    body[at++] = 0xa0 | length;
    memcpy(body + at, name, length), at += length;
    memcpy(body + at, "\xaa" "operations" "\x96", 12), at += 12;
    for (int which = 0; which < 6; which++) {
        length = strlen(names[which]);
        memcpy(body + at, "\x83\xa4" "name", 6), at += 6;
        body[at++] = 0xa0 | length;
        memcpy(body + at, names[which], length), at += length;
        memcpy(body + at, "\xa5" "async" "\xc3" "\xa6" "stream", 14), at += 14;
        body[at++] = which >= 4 ? 0xc3 : 0xc2;
    }
    send_frame(HELLO, 0, body, at);
}

int main(int count, char **arguments) {
    lane = atoi(getenv("SYMPHONY_LANE"));
    fcntl(lane, F_SETFD, FD_CLOEXEC);
    greet(count > 1 ? arguments[1] : "guest");
    for (;;) {
        struct pollfd waits = {lane, POLLIN, 0};
        if (poll(&waits, 1, work()) <= 0) continue;
        struct header header;
        get(&header, sizeof header);
        uint8_t *body = malloc(header.length + 1);
        get(body, header.length);
        if (header.kind == WELCOME) send_frame(READY, 0, "", 0);
        if (header.kind == PING) send_frame(PONG, header.correlation, "", 0);
        if (header.kind == REQUEST) begin(header.correlation, body, header.flags & 1);
        if (header.kind == STOP) { send_frame(STOPPED, 0, "", 0); return 0; }
        for (struct job **place = &jobs, *job; (job = *place); place = &job->rest) {
            if (job->correlation != header.correlation) continue;
            if (header.kind == CREDIT) job->credit += number(body);
            if (header.kind != CANCEL) continue;
            *place = job->rest;
            free(job);
            fail(header.correlation, "cancelled", "asked to stop", 13);
            break;
        }
        free(body);
    }
}
