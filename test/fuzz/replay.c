/* replay.c - runs a fuzz target over a corpus without libFuzzer: each line of the files named is one
 * input, in hex. What was once found stays found. */
#include "coin/base/file.h"
#include "fuzz.h"

#define CORPUS_MAX_B (64u * 1024u * 1024u)

static uint32_t replay(const char *path)
{
    struct buf text, input;
    struct fail why;
    uint32_t inputs = 0;
    buf_init(&text, CORPUS_MAX_B);
    buf_init(&input, CORPUS_MAX_B);
    if (!file_read_all(&disk_posix, path, &text, &why)) {
        fprintf(stderr, "%s\n", why.detail);
        exit(2);
    }
    for (size_t at = 0; at < text.size_b;) {
        const uint8_t *end = memchr(text.data + at, '\n', text.size_b - at);
        size_t length = end != NULL ? (size_t)(end - text.data) - at : text.size_b - at;
        input.size_b = 0;
        if (!hex_to_buf(&input, span_of(text.data + at, length))) {
            fprintf(stderr, "%s: input %u is not hex\n", path, inputs + 1);
            exit(2);
        }
        /* A copy of its exact size, so that a sanitizer sees a read beyond it. */
        uint8_t *exact = malloc(input.size_b > 0 ? input.size_b : 1);
        if (exact == NULL)
            exit(2);
        if (input.size_b > 0)
            memcpy(exact, input.data, input.size_b);
        LLVMFuzzerTestOneInput(exact, input.size_b);
        free(exact);
        inputs++;
        at += length + 1;
    }
    buf_clear(&text);
    buf_clear(&input);
    return inputs;
}

int main(int argc, char **argv)
{
    uint32_t inputs = 0;
    LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++)
        inputs += replay(argv[i]);
    const char *name = strrchr(argv[0], '/');
    printf("%s: %u inputs replayed\n", name != NULL ? name + 1 : argv[0], inputs);
    return inputs > 0 ? 0 : 1;
}
