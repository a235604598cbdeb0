/* The guest's side of Symphony's control lane, for extensions in C: include it in the one file that has `main`.
 *
 * docs/protocol.md says each byte of what is spoken here. Every request is answered exactly once; pings are answered by a
 * thread of their own, so that an operation may take as long as it needs. POSIX and C11; link with -pthread.
 */
#ifndef SYMPHONY_GUEST_H
#define SYMPHONY_GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SYMPHONY_OK 0
#define SYMPHONY_FAILED 1
#define SYMPHONY_LARGEST (64u << 20)

/* One msgpack value inside of bytes that belong to whoever handed it over. */
typedef struct {
    const uint8_t *at;
    const uint8_t *end;
} symphony_value;

/* What an operation answers: exactly one value, put together by the `symphony_put_` functions. */
typedef struct {
    uint8_t *bytes;
    size_t length;
    size_t room;
    bool no_memory;
} symphony_buffer;

typedef struct {
    const char *name;
    /* SYMPHONY_OK with one value in `result`, or what `symphony_fail` gives. */
    int (*run)(const symphony_value *inputs, symphony_buffer *result);
    const char *doc;
} symphony_operation;

/* ---- writing ---- */

static inline void symphony_put_raw(symphony_buffer *out, const void *bytes, size_t length) {
    if (out->no_memory || length > SIZE_MAX / 4 - out->length) {
        out->no_memory = true;
        return;
    }
    if (out->length + length > out->room) {
        size_t room = (out->length + length) * 2;
        uint8_t *larger = realloc(out->bytes, room);
        if (larger == NULL) {
            out->no_memory = true;
            return;
        }
        out->bytes = larger;
        out->room = room;
    }
    if (length > 0) {
        memcpy(out->bytes + out->length, bytes, length);
    }
    out->length += length;
}

static inline void symphony_put_number(symphony_buffer *out, uint8_t marker, uint64_t number, unsigned bytes) {
    uint8_t text[9] = {marker};
    for (unsigned place = 0; place < bytes; place++) {
        text[1 + place] = (uint8_t)(number >> (8 * (bytes - 1 - place)));
    }
    symphony_put_raw(out, text, 1 + bytes);
}

static inline void symphony_put_nil(symphony_buffer *out) { symphony_put_number(out, 0xc0, 0, 0); }

static inline void symphony_put_bool(symphony_buffer *out, bool value) {
    symphony_put_number(out, value ? 0xc3 : 0xc2, 0, 0);
}

static inline void symphony_put_int(symphony_buffer *out, int64_t number) {
    symphony_put_number(out, 0xd3, (uint64_t)number, 8);
}

static inline void symphony_put_float(symphony_buffer *out, double number) {
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    symphony_put_number(out, 0xcb, bits, 8);
}

/* A text of that many bytes; `symphony_put_raw` with exactly as many has to follow. */
static inline void symphony_put_text_begin(symphony_buffer *out, size_t length) {
    symphony_put_number(out, 0xdb, length, 4);
}

static inline void symphony_put_text(symphony_buffer *out, const char *text, size_t length) {
    symphony_put_text_begin(out, length);
    symphony_put_raw(out, text, length);
}

static inline void symphony_put_bytes(symphony_buffer *out, const void *bytes, size_t length) {
    symphony_put_number(out, 0xc6, length, 4);
    symphony_put_raw(out, bytes, length);
}

/* So many values have to follow. */
static inline void symphony_put_list(symphony_buffer *out, uint32_t count) {
    symphony_put_number(out, 0xdd, count, 4);
}

/* So many pairs of a text and a value have to follow. */
static inline void symphony_put_map(symphony_buffer *out, uint32_t count) {
    symphony_put_number(out, 0xdf, count, 4);
}

static inline void symphony_put_string(symphony_buffer *out, const char *text) {
    symphony_put_text(out, text, strlen(text));
}

static inline void symphony_put_error(symphony_buffer *out, const char *code, const char *message) {
    out->length = 0;
    symphony_put_map(out, 2);
    symphony_put_string(out, "code");
    symphony_put_string(out, code);
    symphony_put_string(out, "message");
    symphony_put_string(out, message);
}

/* The operation fails with that message: `return symphony_fail(result, "…");`. */
static inline int symphony_fail(symphony_buffer *result, const char *message) {
    symphony_put_error(result, "remote-error", message);
    return SYMPHONY_FAILED;
}

/* ---- reading ---- */

typedef enum {
    SYMPHONY_NIL,
    SYMPHONY_BOOL,
    SYMPHONY_INT,
    SYMPHONY_FLOAT,
    SYMPHONY_TEXT,
    SYMPHONY_BYTES,
    SYMPHONY_LIST,
    SYMPHONY_MAP,
    SYMPHONY_INVALID
} symphony_kind;

typedef struct {
    symphony_kind kind;
    /* The number itself, or how many bytes, values or pairs follow. */
    uint64_t number;
} symphony_token;

static inline bool symphony_take(symphony_value *value, unsigned bytes, uint64_t *number) {
    if ((size_t)(value->end - value->at) < bytes) {
        return false;
    }
    *number = 0;
    for (unsigned place = 0; place < bytes; place++) {
        *number = *number << 8 | *value->at++;
    }
    return true;
}

/* Reads one token, and of a text or bytes no more than the length. */
static inline symphony_token symphony_next(symphony_value *value) {
    static const symphony_token invalid = {SYMPHONY_INVALID, 0};
    symphony_token token = {SYMPHONY_INT, 0};
    uint64_t marker;
    unsigned bytes = 0;
    if (!symphony_take(value, 1, &marker)) {
        return invalid;
    }
    if (marker <= 0x7f || marker >= 0xe0) {
        token.number = (uint64_t)(int64_t)(int8_t)marker;
        return token;
    }
    if (marker <= 0x8f) {
        return (symphony_token){SYMPHONY_MAP, marker & 0x0f};
    }
    if (marker <= 0x9f) {
        return (symphony_token){SYMPHONY_LIST, marker & 0x0f};
    }
    if (marker <= 0xbf) {
        return (symphony_token){SYMPHONY_TEXT, marker & 0x1f};
    }
    switch (marker) {
    case 0xc0: return (symphony_token){SYMPHONY_NIL, 0};
    case 0xc2: return (symphony_token){SYMPHONY_BOOL, 0};
    case 0xc3: return (symphony_token){SYMPHONY_BOOL, 1};
    case 0xc4: case 0xc5: case 0xc6:
        token.kind = SYMPHONY_BYTES;
        bytes = 1u << (marker - 0xc4);
        break;
    case 0xca: case 0xcb:
        token.kind = SYMPHONY_FLOAT;
        bytes = 4u << (marker - 0xca);
        break;
    case 0xcc: case 0xcd: case 0xce: case 0xcf:
        bytes = 1u << (marker - 0xcc);
        break;
    case 0xd0: case 0xd1: case 0xd2: case 0xd3:
        bytes = 1u << (marker - 0xd0);
        break;
    case 0xd9: case 0xda: case 0xdb:
        token.kind = SYMPHONY_TEXT;
        bytes = 1u << (marker - 0xd9);
        break;
    case 0xdc: case 0xdd:
        token.kind = SYMPHONY_LIST;
        bytes = 2u << (marker - 0xdc);
        break;
    case 0xde: case 0xdf:
        token.kind = SYMPHONY_MAP;
        bytes = 2u << (marker - 0xde);
        break;
    default: return invalid;
    }
    if (!symphony_take(value, bytes, &token.number)) {
        return invalid;
    }
    if (marker >= 0xd0 && marker <= 0xd2) {
        uint64_t sign = (uint64_t)1 << (8 * bytes - 1);
        token.number = (token.number ^ sign) - sign;
    }
    if (token.kind == SYMPHONY_FLOAT && bytes == 4) {
        uint32_t bits = (uint32_t)token.number;
        float narrow;
        memcpy(&narrow, &bits, sizeof narrow);
        double wide = narrow;
        memcpy(&token.number, &wide, sizeof wide);
    }
    if ((token.kind == SYMPHONY_TEXT || token.kind == SYMPHONY_BYTES) &&
        token.number > (uint64_t)(value->end - value->at)) {
        return invalid;
    }
    return token;
}

/* Goes past one whole value. */
static inline bool symphony_skip(symphony_value *value) {
    uint64_t left = 1;
    while (left > 0) {
        symphony_token token = symphony_next(value);
        uint64_t room = (uint64_t)(value->end - value->at);
        left--;
        switch (token.kind) {
        case SYMPHONY_INVALID: return false;
        case SYMPHONY_TEXT: case SYMPHONY_BYTES: value->at += token.number; break;
        case SYMPHONY_LIST: left += token.number; break;
        case SYMPHONY_MAP: left += 2 * token.number; break;
        default: break;
        }
        /* Each value has a byte at least. */
        if (left > room) {
            return false;
        }
    }
    return true;
}

/* The bytes of a text, without a zero behind them. False: it is something else. */
static inline bool symphony_text(const symphony_value *value, const char **text, size_t *length) {
    symphony_value at = *value;
    symphony_token token = symphony_next(&at);
    if (token.kind != SYMPHONY_TEXT) {
        return false;
    }
    *text = (const char *)at.at;
    *length = (size_t)token.number;
    return true;
}

static inline bool symphony_bytes(const symphony_value *value, const uint8_t **bytes, size_t *length) {
    symphony_value at = *value;
    symphony_token token = symphony_next(&at);
    if (token.kind != SYMPHONY_BYTES) {
        return false;
    }
    *bytes = at.at;
    *length = (size_t)token.number;
    return true;
}

static inline bool symphony_int(const symphony_value *value, int64_t *number) {
    symphony_value at = *value;
    uint8_t marker = at.at < at.end ? *at.at : 0;
    symphony_token token = symphony_next(&at);
    *number = (int64_t)token.number;
    /* An unsigned one that is too large is none. */
    return token.kind == SYMPHONY_INT && (marker != 0xcf || *number >= 0);
}

static inline bool symphony_float(const symphony_value *value, double *number) {
    symphony_value at = *value;
    symphony_token token = symphony_next(&at);
    memcpy(number, &token.number, sizeof *number);
    return token.kind == SYMPHONY_FLOAT;
}

static inline bool symphony_bool(const symphony_value *value, bool *flag) {
    symphony_value at = *value;
    symphony_token token = symphony_next(&at);
    *flag = token.number != 0;
    return token.kind == SYMPHONY_BOOL;
}

/* The value of that key in a map. False: there is none. */
static inline bool symphony_find(const symphony_value *map, const char *key, symphony_value *found) {
    symphony_value at = *map;
    symphony_token token = symphony_next(&at);
    bool known = false;
    for (uint64_t pair = 0; token.kind == SYMPHONY_MAP && pair < token.number; pair++) {
        const char *name = NULL;
        size_t length = 0;
        bool is_text = symphony_text(&at, &name, &length);
        if (!symphony_skip(&at)) {
            return false;
        }
        symphony_value value = at;
        if (!symphony_skip(&at)) {
            return false;
        }
        if (is_text && length == strlen(key) && memcmp(name, key, length) == 0) {
            *found = (symphony_value){value.at, at.at};
            known = true;
        }
    }
    return known;
}

/* ---- the lane ---- */

typedef struct symphony_frame {
    uint8_t header[32];
    uint8_t *payload;
    size_t length;
    struct symphony_frame *next;
} symphony_frame;

typedef struct {
    int descriptor;
    pthread_mutex_t sending;
    pthread_mutex_t queueing;
    pthread_cond_t queued;
    symphony_frame *first;
    symphony_frame *last;
    bool over;
} symphony_lane;

static inline bool symphony_read_all(int descriptor, uint8_t *bytes, size_t length) {
    while (length > 0) {
        ssize_t count = read(descriptor, bytes, length);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return false;
        }
        bytes += count;
        length -= (size_t)count;
    }
    return true;
}

static inline bool symphony_write_all(int descriptor, const uint8_t *bytes, size_t length) {
    while (length > 0) {
        ssize_t count = send(descriptor, bytes, length, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return false;
        }
        bytes += count;
        length -= (size_t)count;
    }
    return true;
}

static inline uint64_t symphony_little(const uint8_t *bytes, unsigned count) {
    uint64_t number = 0;
    while (count-- > 0) {
        number = number << 8 | bytes[count];
    }
    return number;
}

/* Sends one frame, whole; `correlation` is the eight bytes of the frame that is answered, or NULL. */
static inline bool symphony_send(symphony_lane *lane, uint8_t kind, const uint8_t *correlation,
                                 const uint8_t *payload, size_t length) {
    uint8_t header[32] = {0x59, 0x53, 1, kind};
    for (unsigned place = 0; place < 4; place++) {
        header[12 + place] = (uint8_t)(length >> (8 * place));
    }
    if (correlation != NULL) {
        memcpy(header + 16, correlation, 8);
    }
    pthread_mutex_lock(&lane->sending);
    bool sent = symphony_write_all(lane->descriptor, header, sizeof header) &&
                symphony_write_all(lane->descriptor, payload, length);
    pthread_mutex_unlock(&lane->sending);
    return sent;
}

/* Reads one frame; NULL when the host is gone or breaks the protocol. Freed with its payload by `symphony_drop`. */
static inline symphony_frame *symphony_receive(symphony_lane *lane) {
    symphony_frame *frame = calloc(1, sizeof *frame);
    if (frame == NULL) {
        return NULL;
    }
    if (symphony_read_all(lane->descriptor, frame->header, sizeof frame->header)) {
        frame->length = (size_t)symphony_little(frame->header + 12, 4);
        bool lawful = memcmp(frame->header, "\x59\x53\x01", 3) == 0 && frame->length <= SYMPHONY_LARGEST;
        frame->payload = lawful ? malloc(frame->length + 1) : NULL;
        if (frame->payload != NULL && symphony_read_all(lane->descriptor, frame->payload, frame->length)) {
            return frame;
        }
    }
    free(frame->payload);
    free(frame);
    return NULL;
}

static inline void symphony_drop(symphony_frame *frame) {
    if (frame != NULL) {
        free(frame->payload);
        free(frame);
    }
}

/* Reads the lane to its end: answers pings, queues requests. */
static inline void *symphony_listen(void *given) {
    symphony_lane *lane = given;
    bool over = false;
    while (!over) {
        symphony_frame *frame = symphony_receive(lane);
        uint8_t kind = frame == NULL ? 17 : frame->header[3];
        over = kind == 17;
        if (kind == 15) {
            over = !symphony_send(lane, 16, frame->header + 16, NULL, 0);
        }
        pthread_mutex_lock(&lane->queueing);
        if (kind == 5) {
            if (lane->last == NULL) {
                lane->first = frame;
            } else {
                lane->last->next = frame;
            }
            lane->last = frame;
            frame = NULL;
        }
        lane->over = over;
        pthread_cond_signal(&lane->queued);
        pthread_mutex_unlock(&lane->queueing);
        symphony_drop(frame);
    }
    return NULL;
}

/* The next request; NULL when there is none and none follows. */
static inline symphony_frame *symphony_request(symphony_lane *lane) {
    pthread_mutex_lock(&lane->queueing);
    while (lane->first == NULL && !lane->over) {
        pthread_cond_wait(&lane->queued, &lane->queueing);
    }
    /* After a stop nothing new is taken. */
    symphony_frame *frame = lane->over ? NULL : lane->first;
    if (frame != NULL) {
        lane->first = frame->next;
        lane->last = lane->first == NULL ? NULL : lane->last;
    }
    pthread_mutex_unlock(&lane->queueing);
    return frame;
}

/* Puts the answer to one request together; the kind of its frame. */
static inline uint8_t symphony_answer(const symphony_frame *frame, const symphony_operation *operations, size_t count,
                                      symphony_buffer *result) {
    symphony_value at = {frame->payload, frame->payload + frame->length};
    symphony_token list = symphony_next(&at);
    const char *name = NULL;
    size_t length = 0;
    bool lawful = list.kind == SYMPHONY_LIST && list.number >= 3 && symphony_text(&at, &name, &length) &&
                  symphony_skip(&at) && symphony_skip(&at);
    symphony_value inputs = at;
    if (!lawful || !symphony_skip(&at)) {
        symphony_put_error(result, "invalid-value", "a request is not `[operation, priority, inputs]`");
        return 7;
    }
    inputs.end = at.at;
    for (size_t place = 0; place < count; place++) {
        const symphony_operation *operation = &operations[place];
        if (strlen(operation->name) == length && memcmp(operation->name, name, length) == 0) {
            int ended = operation->run(&inputs, result);
            if (result->no_memory || result->length > SYMPHONY_LARGEST) {
                result->no_memory = false;
                symphony_put_error(result, "remote-error", "the result does not fit a frame, or memory");
                return 7;
            }
            return ended == SYMPHONY_OK ? 6 : 7;
        }
    }
    symphony_put_error(result, "unknown-operation", "there is no such operation");
    return 7;
}

static inline bool symphony_greet(symphony_lane *lane, const char *name, const char *version,
                                  const symphony_operation *operations, size_t count) {
    symphony_buffer hello = {0};
    symphony_put_map(&hello, 5);
    symphony_put_string(&hello, "protocol");
    symphony_put_list(&hello, 2);
    symphony_put_int(&hello, 1);
    symphony_put_int(&hello, 1);
    symphony_put_string(&hello, "name");
    symphony_put_string(&hello, name);
    symphony_put_string(&hello, "version");
    symphony_put_string(&hello, version);
    symphony_put_string(&hello, "language");
    symphony_put_string(&hello, "c");
    symphony_put_string(&hello, "operations");
    symphony_put_list(&hello, (uint32_t)count);
    for (size_t place = 0; place < count; place++) {
        symphony_put_map(&hello, 2);
        symphony_put_string(&hello, "name");
        symphony_put_string(&hello, operations[place].name);
        symphony_put_string(&hello, "doc");
        symphony_put_string(&hello, operations[place].doc == NULL ? "" : operations[place].doc);
    }
    bool sent = !hello.no_memory && symphony_send(lane, 1, NULL, hello.bytes, hello.length);
    free(hello.bytes);
    while (sent) {
        symphony_frame *frame = symphony_receive(lane);
        uint8_t kind = frame == NULL ? 3 : frame->header[3];
        if (kind == 15) {
            sent = symphony_send(lane, 16, frame->header + 16, NULL, 0);
        }
        symphony_drop(frame);
        if (kind != 15) {
            return kind == 2 && symphony_send(lane, 4, NULL, NULL, 0);
        }
    }
    return false;
}

/* Serves these operations until the host stops this program, or is gone; the exit code of `main`. */
static inline int symphony_serve(const char *name, const char *version, const symphony_operation *operations,
                                 size_t count) {
    const char *number = getenv("SYMPHONY_LANE");
    /* Not on the stack: the listener goes on while the process ends. */
    static symphony_lane lane;
    lane.descriptor = number == NULL ? -1 : atoi(number);
    if (number == NULL || fcntl(lane.descriptor, F_SETFD, FD_CLOEXEC) != 0) {
        fprintf(stderr, "%s: this program is an extension: Symphony starts it\n", name);
        return 2;
    }
    pthread_mutex_init(&lane.sending, NULL);
    pthread_mutex_init(&lane.queueing, NULL);
    pthread_cond_init(&lane.queued, NULL);
    int flags = fcntl(lane.descriptor, F_GETFL);
    fcntl(lane.descriptor, F_SETFL, flags & ~O_NONBLOCK);
    if (!symphony_greet(&lane, name, version, operations, count)) {
        fprintf(stderr, "%s: the host refused this extension\n", name);
        return 1;
    }
    pthread_t listener;
    if (pthread_create(&listener, NULL, symphony_listen, &lane) != 0) {
        fprintf(stderr, "%s: no thread can be started\n", name);
        return 1;
    }
    bool alive = true;
    for (symphony_frame *frame; alive && (frame = symphony_request(&lane)) != NULL;) {
        symphony_buffer result = {0};
        uint8_t kind = symphony_answer(frame, operations, count, &result);
        alive = symphony_send(&lane, kind, frame->header + 16, result.bytes, result.length);
        free(result.bytes);
        symphony_drop(frame);
    }
    /* The host may be gone, which is a good end too. */
    symphony_send(&lane, 18, NULL, NULL, 0);
    return 0;
}

#endif
