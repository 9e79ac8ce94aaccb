/* Driver of the accelerator: C99, freestanding, no allocation, integers only.
 *
 * Order of calls: probe, load, then for each run set_image, start, wait, logit. A second run may be started, over
 * another data area, while the first is under way. registers.h is generated for all accelerators, network.h for one network.
 * On a new board, the self-test of selftest.h comes first. */
#ifndef VGG2RTL_H
#define VGG2RTL_H

#include <stddef.h>
#include <stdint.h>

#include "registers.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a feature map lies in the data area: image, block of channels, row, pixel, channel of the block. Bytes but for bits. */
struct vgg2rtl_layout {
    uint32_t address;     /* of the first image, from the area's first byte */
    uint32_t image_pitch; /* from image to image */
    uint32_t plane_pitch; /* from block to block */
    uint32_t row_pitch;   /* from row to row */
    uint16_t channels, height, width;
    uint16_t block; /* channels of a block */
    uint8_t planes; /* of a code: the first holds its low bits */
    uint8_t bits;   /* of a code in one plane, low bits first */
};

/* A register whose value says what was built. */
struct vgg2rtl_value {
    uint8_t address;
    uint32_t value;
};

struct vgg2rtl_network {
    const char *name;
    uint32_t model_bytes, data_bytes, write_base;
    uint16_t images;     /* of a run */
    uint8_t reversed;    /* the network's channels are those of a picture in reverse: BGR */
    const int16_t *codes; /* (channel, byte): preprocessing and quantization of a picture's byte */
    struct vgg2rtl_layout input;
    uint32_t logits;       /* address in the data area; */
    uint32_t logits_pitch; /* bytes from image to image, */
    uint32_t logit_bytes;  /* and from class to class */
    uint16_t classes;
    const char *const *class_names; /* NULL: none are known */
    uint32_t step_mantissa;         /* a logit is worth mantissa * 2^exponent */
    int16_t step_exponent;
    const struct vgg2rtl_value *identity;
    uint8_t identity_count;
};

/* What the driver needs of the board; context goes to every function. */
struct vgg2rtl_device {
    void *context;
    uint32_t (*read32)(void *context, uint32_t address);
    void (*write32)(void *context, uint32_t address, uint32_t value);
    /* Memory is seen by the accelerator, or what it wrote by the processor; NULL where caches are coherent or absent. */
    void (*flush)(void *context, const void *from, size_t bytes);
    void (*invalidate)(void *context, const void *from, size_t bytes);
    /* Returns 1 after an interrupt, 0 after a while without one; NULL: registers are polled. */
    int (*sleep)(void *context);
    uint16_t started; /* runs so far, as RUNS counts them; the driver's */
};

/* What differs: the address of a register, or a place in memory; what should be there, and what is. */
struct vgg2rtl_difference {
    uint32_t address, expected, found;
};

struct vgg2rtl_counters {
    uint64_t cycles;
    uint32_t weight_beats, act_beats, write_beats, array_cycles;
};

/* Whether an accelerator for this network is there. */
enum vgg2rtl_result vgg2rtl_probe(struct vgg2rtl_device *device, const struct vgg2rtl_network *network,
                                  struct vgg2rtl_difference *difference);

/* Flushes the model, which the caller has put to `model`, and sets the limits; `address` is where the accelerator sees it. */
enum vgg2rtl_result vgg2rtl_load(struct vgg2rtl_device *device, const struct vgg2rtl_network *network, const void *model,
                                 uint64_t address);

/* Writes picture `image` of a run to the area `data`: bytes (row, column, channel) of the network's input size. The area is
 * aligned to words of 32 bits. */
void vgg2rtl_set_image(const struct vgg2rtl_network *network, void *data, unsigned image, const uint8_t *pixels);

/* Flushes the input and starts a run over `data`, which the accelerator sees at `address`; `run` is what to wait for. */
enum vgg2rtl_result vgg2rtl_start(struct vgg2rtl_device *device, const struct vgg2rtl_network *network, const void *data,
                                  uint64_t address, uint16_t *run);

/* Whether run `run` has ended. */
int vgg2rtl_ended(struct vgg2rtl_device *device, uint16_t run);

/* Waits for the end of run `run`, looking `looks` times at most, and makes its logits in `data` visible. */
enum vgg2rtl_result vgg2rtl_wait(struct vgg2rtl_device *device, const struct vgg2rtl_network *network, const void *data,
                                 uint16_t run, uint32_t looks);

/* Logit of a class. */
int64_t vgg2rtl_logit(const struct vgg2rtl_network *network, const void *data, unsigned image, unsigned class_index);

/* The same in the unit of the float network: in 1/65536, rounded to the nearest, of two the even one, as long as 64 bits hold
 * it. VGG2RTL_LOGIT_STEP of network.h times the logit is the same as a floating-point number. */
int64_t vgg2rtl_dequantized(const struct vgg2rtl_network *network, const void *data, unsigned image, unsigned class_index);

/* The `count` classes of the greatest logits, the greatest first; of equal ones the first. */
void vgg2rtl_top(const struct vgg2rtl_network *network, const void *data, unsigned image, unsigned count, uint16_t *classes);

/* Counters of the run that began last. */
void vgg2rtl_read_counters(struct vgg2rtl_device *device, struct vgg2rtl_counters *counters);

/* Error code of the run that ended last, 0 for none, and what it is called. */
unsigned vgg2rtl_error(struct vgg2rtl_device *device);
const char *vgg2rtl_error_text(unsigned code);

/* What an answer of these functions means. */
const char *vgg2rtl_result_text(enum vgg2rtl_result result);

#ifdef __cplusplus
}
#endif
#endif
