/* Self-test of the accelerator on a board: C99, freestanding, no allocation, integers only.
 *
 * It needs no network of the user's: selftest_data.h, generated for the configuration, holds a small one and what it gives.
 * It runs it over the accelerator's own way to memory and says what is wrong with the board, not only that something is. */
#ifndef VGG2RTL_SELFTEST_H
#define VGG2RTL_SELFTEST_H

#include "vgg2rtl.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the test's memory, which is the model and behind it the data. */
struct vgg2rtl_piece {
    uint32_t address, count;
    const uint8_t *bytes;
};

struct vgg2rtl_selftest {
    struct vgg2rtl_network network;
    uint32_t bus_bytes;                 /* of a word of the bus */
    const struct vgg2rtl_piece *memory; /* model and input; what is in no piece is 0 */
    unsigned memory_count;
    const struct vgg2rtl_piece *written; /* by the run, in whole words of the bus */
    unsigned written_count;
};

/* Memory that host and accelerator see. */
struct vgg2rtl_memory {
    void *bytes;
    uint64_t address; /* where the accelerator sees it, a multiple of 4096 */
    size_t size;
};

/* Runs the test `test` in `memory`, which is overwritten, and answers with the first thing that is wrong; `looks` as in
 * vgg2rtl_wait. The test needs model_bytes + data_bytes of its network. A cache that is not flushed is told from a wrong
 * address by reading the rest of the memory, which must then be larger than the caches; if it is smaller, the answer for
 * both is VGG2RTL_WRONG_BASE. `difference` holds what was expected where. */
enum vgg2rtl_result vgg2rtl_selftest(struct vgg2rtl_device *device, const struct vgg2rtl_selftest *test,
                                     const struct vgg2rtl_memory *memory, uint32_t looks,
                                     struct vgg2rtl_difference *difference);

#ifdef __cplusplus
}
#endif
#endif
