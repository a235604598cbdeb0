/* A Pit library in C: what `counter_library.rs` is in Rust. Build it with
 *   cc -std=c11 -shared -fPIC -I"$(python -c 'import symphony; print(symphony.include())')" counter_library.c -o libcounter.so
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "symphony_pit.h"

#define TEXT(words) { (const uint8_t *)(words), sizeof(words) - 1 }

struct counter {
    const symphony_pit_log *log;
    atomic_ullong total;
};

/* Memory is taken here and given back in `free_buffer`. */
static int32_t give(symphony_pit_buffer *out, const void *data, uint64_t length, int32_t status) {
    out->owner = malloc(length ? length : 1);
    if (!out->owner) return SYMPHONY_PIT_ERROR;
    if (length) memcpy(out->owner, data, length);
    out->data = out->owner;
    out->length = length;
    return status;
}

static int is(symphony_pit_text text, const char *word) {
    return text.length == strlen(word) && memcmp(text.data, word, text.length) == 0;
}

static int32_t init(const symphony_pit_host *host, void **instance, symphony_pit_buffer *error) {
    struct counter *counter = calloc(1, sizeof *counter);
    if (!counter) return give(error, "no memory", 9, SYMPHONY_PIT_ERROR);
    symphony_pit_text id = TEXT("symphony.log.v1"), line = TEXT("the counter starts");
    /* A host without a log is lawful. */
    counter->log = host->service ? host->service(id) : NULL;
    if (counter->log) counter->log->line(3, line);
    *instance = counter;
    return SYMPHONY_PIT_OK;
}

static int32_t call(void *instance, symphony_pit_text operation, symphony_pit_text input,
                    symphony_pit_buffer *output) {
    struct counter *counter = instance;
    if (is(operation, "echo")) return give(output, input.data, input.length, SYMPHONY_PIT_OK);
    if (is(operation, "count")) {
        char text[24];
        unsigned long long total = atomic_fetch_add(&counter->total, input.length) + input.length;
        int length = snprintf(text, sizeof text, "%llu", total);
        return give(output, text, (uint64_t)length, SYMPHONY_PIT_OK);
    }
    if (is(operation, "refuse")) return give(output, "not today", 9, SYMPHONY_PIT_ERROR);
    return SYMPHONY_PIT_UNKNOWN_OPERATION;
}

static void free_buffer(symphony_pit_buffer *buffer) { free(buffer->owner); }

static void stop(void *instance) { free(instance); }

static const symphony_pit_text operations[] = { TEXT("echo"), TEXT("count"), TEXT("refuse") };

const symphony_pit_entry symphony_pit_entry_v1 = {
    sizeof(symphony_pit_entry), SYMPHONY_PIT_ABI_MAJOR, 0, TEXT("counter"), TEXT("0.1.0"), operations,
    sizeof operations / sizeof *operations, init, call, free_buffer, stop,
};
