/* symphony_pit.h: the interface between Symphony and a Pit library, version 1.0.
 *
 * A Pit library is a shared library that exports one symbol, `symphony_pit_entry_v1`: a constant table. It runs inside
 * Symphony's process: a crash of it is a crash of the process.
 *
 * Rules
 * - Only integers, pointer and length, opaque handles and function pointers cross. All integers have the machine's own
 *   byte order. Text is UTF-8 and not terminated by zero.
 * - Who allocates, frees: what the library puts into a buffer it takes back in `free_buffer`. What the host passes in
 *   is valid during that call only.
 * - `call` may come from many threads at once. `init` is called once, before all; `stop` once, after all.
 * - A library is never unloaded.
 * - No exception, longjmp or panic may leave a function of the table.
 *
 * Versions: the major version must be the host's. The minor version that the library names is the least that it needs
 * of the host; a newer host has more fields at the end of its tables, found by `struct_size`. Services of the host are
 * asked for by name; one that the host does not have is NULL, which is no error.
 *
 * Between the two marks below stands plain C without preprocessor lines, for readers such as cffi.
 */
#ifndef SYMPHONY_PIT_H
#define SYMPHONY_PIT_H

#include <stdint.h>

#define SYMPHONY_PIT_ABI_MAJOR 1
#define SYMPHONY_PIT_ABI_MINOR 0

/* What `init` and `call` return. With anything but OK the buffer holds the error's text. */
#define SYMPHONY_PIT_OK 0
#define SYMPHONY_PIT_ERROR 1
#define SYMPHONY_PIT_UNKNOWN_OPERATION 2
#define SYMPHONY_PIT_PANIC 3

#ifdef __cplusplus
extern "C" {
#endif

/* begin declarations */

/* Bytes that somebody else owns. */
typedef struct symphony_pit_text {
    const uint8_t *data;
    uint64_t length;
} symphony_pit_text;

/* Bytes that the library made; `owner` is the library's own. The host passes it zeroed. */
typedef struct symphony_pit_buffer {
    uint8_t *data;
    uint64_t length;
    void *owner;
} symphony_pit_buffer;

/* What the host offers, valid for the life of the process. */
typedef struct symphony_pit_host {
    uint32_t struct_size;
    uint16_t abi_major;
    uint16_t abi_minor;
    /* The table of a service, or NULL. */
    const void *(*service)(symphony_pit_text id);
} symphony_pit_host;

/* Service "symphony.log.v1": one line to Symphony's log. Level: 1 error, 2 warning, 3 information, 4 debugging. */
typedef struct symphony_pit_log {
    uint32_t struct_size;
    uint32_t reserved;
    void (*line)(uint32_t level, symphony_pit_text text);
} symphony_pit_log;

/* What the library exports as `symphony_pit_entry_v1`. */
typedef struct symphony_pit_entry {
    uint32_t struct_size;
    uint16_t abi_major;
    uint16_t abi_minor;
    symphony_pit_text name;
    symphony_pit_text version;
    const symphony_pit_text *operations;
    uint64_t operation_count;
    /* Starts the library; `instance` is handed back in each call. */
    int32_t (*init)(const symphony_pit_host *host, void **instance, symphony_pit_buffer *error);
    /* Runs an operation; `input` is one MessagePack map of the inputs, the output one MessagePack value. */
    int32_t (*call)(void *instance, symphony_pit_text operation, symphony_pit_text input,
                    symphony_pit_buffer *output);
    /* Takes back a buffer that `init` or `call` filled. */
    void (*free_buffer)(symphony_pit_buffer *buffer);
    /* Ends the instance. */
    void (*stop)(void *instance);
} symphony_pit_entry;

extern const symphony_pit_entry symphony_pit_entry_v1;

/* end declarations */

#ifdef __cplusplus
}
#endif

#endif
