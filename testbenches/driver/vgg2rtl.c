#include "vgg2rtl.h"

static uint32_t read_register(struct vgg2rtl_device *device, uint32_t address) {
    return device->read32(device->context, address);
}

static void write_register(struct vgg2rtl_device *device, uint32_t address, uint32_t value) {
    device->write32(device->context, address, value);
}

/* Bits `low` and up of `value`, `count` of them. */
static uint32_t part(uint32_t value, unsigned low, unsigned count) {
    return value >> low & (0xffffffffu >> (32 - count));
}

#define PART(value, name) part(value, VGG2RTL_##name##_LOW, VGG2RTL_##name##_BITS)
#define PUT(value, name) ((uint32_t)(value) << VGG2RTL_##name##_LOW)

/* What another value of an identity register means. A bus where nobody answers reads 0 or ones. */
static enum vgg2rtl_result unlike(const struct vgg2rtl_difference *difference) {
    if (difference->address != VGG2RTL_REG_ID && difference->address != VGG2RTL_REG_VERSION)
        return VGG2RTL_OTHER_CONFIGURATION;
    int silent = difference->found == 0 || difference->found == 0xffffffffu;
    return silent ? VGG2RTL_NO_ANSWER : VGG2RTL_OTHER_CORE;
}

enum vgg2rtl_result vgg2rtl_probe(struct vgg2rtl_device *device, const struct vgg2rtl_network *network,
                                  struct vgg2rtl_difference *difference) {
    for (unsigned i = 0; i < network->identity_count; i++) {
        const struct vgg2rtl_value *wanted = &network->identity[i];
        difference->address = wanted->address;
        difference->expected = wanted->value;
        difference->found = read_register(device, wanted->address);
        if (difference->found != difference->expected)
            return unlike(difference);
    }
    device->started = (uint16_t)read_register(device, VGG2RTL_REG_RUNS);
    return VGG2RTL_OK;
}

/* Whether an area of `bytes` may lie at `address`. */
static enum vgg2rtl_result place(struct vgg2rtl_device *device, uint64_t address, uint32_t bytes) {
    unsigned bits = PART(read_register(device, VGG2RTL_REG_BUS), BUS_ADDRESS_BITS);
    if (address & 4095) return VGG2RTL_MISALIGNED;
    if (address + (bytes - 1) < address || (address + (bytes - 1)) >> (bits - 1) > 1) return VGG2RTL_OUT_OF_REACH;
    return VGG2RTL_OK;
}

enum vgg2rtl_result vgg2rtl_load(struct vgg2rtl_device *device, const struct vgg2rtl_network *network, const void *model,
                                 uint64_t address) {
    enum vgg2rtl_result result = place(device, address, network->model_bytes);
    if (result != VGG2RTL_OK) return result;
    if (device->flush) device->flush(device->context, model, network->model_bytes);
    write_register(device, VGG2RTL_REG_READ_LIMIT, network->model_bytes);
    write_register(device, VGG2RTL_REG_WRITE_BASE, network->write_base);
    write_register(device, VGG2RTL_REG_WRITE_LIMIT, network->data_bytes);
    write_register(device, VGG2RTL_REG_MODEL_BASE, (uint32_t)address);
    write_register(device, VGG2RTL_REG_MODEL_BASE_HI, (uint32_t)(address >> 32));
    write_register(device, VGG2RTL_REG_IRQ_ENABLE, PUT(device->sleep != NULL, IRQ_ENABLE_IRQ));
    return VGG2RTL_OK;
}

/* A word of 32 bits whose low byte comes first in memory. */
static inline uint32_t little_endian(uint32_t word) {
    const union {
        uint16_t word;
        uint8_t first;
    } one = {1};
    if (one.first) return word;
    return word >> 24 | (word >> 8 & 0xff00u) | (word << 8 & 0xff0000u) | word << 24;
}

/* Writes whole words, one behind the other: memory behind no cache is slow. */
struct packer {
    uint32_t *next;
    uint32_t word;
    unsigned filled; /* bits of `word` */
};

/* Appends the `bits` bits of `code`, 32 at the most. */
static inline struct packer append(struct packer packer, uint32_t code, unsigned bits) {
    unsigned room = 32 - packer.filled;
    packer.word |= code << packer.filled;
    packer.filled += bits;
    if (bits < room) return packer;
    *packer.next++ = little_endian(packer.word);
    packer.filled = bits - room;
    packer.word = packer.filled ? code >> room : 0;
    return packer;
}

/* Appends zeros as far as `end`. */
static struct packer finish(struct packer packer, const uint8_t *end) {
    if (packer.filled) packer = append(packer, 0, 32 - packer.filled);
    while ((const uint8_t *)packer.next < end) *packer.next++ = 0;
    return packer;
}

/* Appends a row of pixels: of each the channels `first` and up that are in the block. */
static struct packer pack_row(struct packer packer, const struct vgg2rtl_network *network, unsigned first, const uint8_t *pixel) {
    const struct vgg2rtl_layout map = network->input;
    unsigned count = map.channels - first < map.block ? map.channels - first : map.block;
    const int16_t *codes = network->codes + 256 * first;
    const uint8_t *end = pixel + map.width * map.channels;
    unsigned code_bits = map.planes * map.bits, empty = (map.block - count) * map.bits;
    int at = network->reversed ? (int)(map.channels - 1 - first) : (int)first, step = network->reversed ? -1 : 1;
    uint32_t mask = (1u << map.bits) - 1;
    for (; pixel < end; pixel += map.channels)
        for (unsigned shift = 0; shift < code_bits; shift += map.bits) {
            for (unsigned c = 0; c < count; c++) {
                uint32_t code = (uint32_t)codes[256 * c + pixel[at + step * (int)c]];
                packer = append(packer, code >> shift & mask, map.bits);
            }
            for (unsigned rest = empty; rest > 0; rest -= rest < 32 ? rest : 32)
                packer = append(packer, 0, rest < 32 ? rest : 32);
        }
    return packer;
}

void vgg2rtl_set_image(const struct vgg2rtl_network *network, void *data, unsigned image, const uint8_t *pixels) {
    const struct vgg2rtl_layout *map = &network->input;
    uint8_t *plane = (uint8_t *)data + map->address + (size_t)image * map->image_pitch;
    const uint8_t *end = plane + map->image_pitch;
    struct packer packer = {(uint32_t *)(void *)plane, 0, 0};
    for (unsigned first = 0; first < map->channels; first += map->block, plane += map->plane_pitch) {
        for (unsigned y = 0; y < map->height; y++) {
            packer = pack_row(packer, network, first, pixels + (size_t)y * map->width * map->channels);
            packer = finish(packer, plane + (size_t)(y + 1) * map->row_pitch);
        }
        packer = finish(packer, plane + map->plane_pitch);
    }
    finish(packer, end); /* blocks without a channel */
}

enum vgg2rtl_result vgg2rtl_start(struct vgg2rtl_device *device, const struct vgg2rtl_network *network, const void *data,
                                  uint64_t address, uint16_t *run) {
    enum vgg2rtl_result result = place(device, address, network->data_bytes);
    if (result != VGG2RTL_OK) return result;
    if (PART(read_register(device, VGG2RTL_REG_STATUS), STATUS_QUEUED)) return VGG2RTL_BUSY;
    if (device->flush) device->flush(device->context, data, network->data_bytes);
    write_register(device, VGG2RTL_REG_DATA_BASE, (uint32_t)address);
    write_register(device, VGG2RTL_REG_DATA_BASE_HI, (uint32_t)(address >> 32));
    write_register(device, VGG2RTL_REG_CONTROL, PUT(1, CONTROL_START));
    *run = ++device->started;
    return VGG2RTL_OK;
}

int vgg2rtl_ended(struct vgg2rtl_device *device, uint16_t run) {
    return (uint16_t)(read_register(device, VGG2RTL_REG_RUNS) - run) < 0x8000u;
}

/* What was queued behind a failure is gone. */
static enum vgg2rtl_result failed(struct vgg2rtl_device *device) {
    device->started = (uint16_t)read_register(device, VGG2RTL_REG_RUNS);
    return VGG2RTL_FAILED;
}

enum vgg2rtl_result vgg2rtl_wait(struct vgg2rtl_device *device, const struct vgg2rtl_network *network, const void *data,
                                 uint16_t run, uint32_t looks) {
    for (;; looks--) {
        /* A run that ends after this raises the interrupt; one that ended before shows in RUNS. */
        if (device->sleep) write_register(device, VGG2RTL_REG_CONTROL, PUT(1, CONTROL_CLEAR));
        uint32_t status = read_register(device, VGG2RTL_REG_STATUS);
        if (vgg2rtl_ended(device, run)) break;
        if (!PART(status, STATUS_BUSY)) return failed(device);
        if (looks == 0) return VGG2RTL_NO_END;
        if (device->sleep) device->sleep(device->context);
    }
    if (vgg2rtl_error(device)) return failed(device);
    if (device->invalidate)
        device->invalidate(device->context, (const uint8_t *)data + network->write_base,
                           network->data_bytes - network->write_base);
    return VGG2RTL_OK;
}

int64_t vgg2rtl_logit(const struct vgg2rtl_network *network, const void *data, unsigned image, unsigned class_index) {
    const uint8_t *at = (const uint8_t *)data + network->logits + (size_t)image * network->logits_pitch +
                        (size_t)class_index * network->logit_bytes;
    const uint32_t *words = (const uint32_t *)(const void *)at;
    return (int64_t)((uint64_t)little_endian(words[1]) << 32 | little_endian(words[0]));
}

/* A number of 96 bits: `high` * 2^32 + `low`. */
struct wide {
    uint64_t high;
    uint32_t low;
};

/* `wide` / 2^`bits`, rounded to the nearest, of two the even one. */
static struct wide shifted_right(struct wide wide, unsigned bits) {
    uint32_t half = 0, rest = 0;
    for (; bits > 0; bits--) {
        rest |= half;
        half = wide.low & 1;
        wide.low = wide.low >> 1 | (uint32_t)(wide.high & 1) << 31;
        wide.high >>= 1;
    }
    if (half && (rest || wide.low & 1) && ++wide.low == 0) wide.high++;
    return wide;
}

/* `wide` * 2^`bits` as far as 63 bits hold it. */
static uint64_t shifted_left(struct wide wide, unsigned bits) {
    for (; bits > 0 && wide.high < 1u << 30; bits--) {
        wide.high = wide.high << 1 | wide.low >> 31;
        wide.low <<= 1;
    }
    int fits = wide.high < 1u << 31 && (bits == 0 || (wide.high | wide.low) == 0);
    return fits ? wide.high << 32 | wide.low : INT64_MAX;
}

int64_t vgg2rtl_dequantized(const struct vgg2rtl_network *network, const void *data, unsigned image, unsigned class_index) {
    int64_t logit = vgg2rtl_logit(network, data, image, class_index);
    uint64_t size = logit < 0 ? 0 - (uint64_t)logit : (uint64_t)logit;
    uint64_t low = (size & 0xffffffffu) * network->step_mantissa;
    struct wide product = {(size >> 32) * network->step_mantissa + (low >> 32), (uint32_t)low};
    int shift = network->step_exponent + 16;
    if (shift < 0) product = shifted_right(product, (unsigned)-shift);
    int64_t value = (int64_t)shifted_left(product, shift < 0 ? 0 : (unsigned)shift);
    return logit < 0 ? -value : value;
}

void vgg2rtl_top(const struct vgg2rtl_network *network, const void *data, unsigned image, unsigned count, uint16_t *classes) {
    unsigned known = 0;
    for (unsigned c = 0; c < network->classes; c++) {
        int64_t logit = vgg2rtl_logit(network, data, image, c);
        unsigned at = known;
        while (at > 0 && vgg2rtl_logit(network, data, image, classes[at - 1]) < logit) at--;
        if (at == count) continue;
        known += known < count;
        for (unsigned i = known - 1; i > at; i--) classes[i] = classes[i - 1];
        classes[at] = (uint16_t)c;
    }
}

void vgg2rtl_read_counters(struct vgg2rtl_device *device, struct vgg2rtl_counters *counters) {
    counters->cycles = read_register(device, VGG2RTL_REG_CYCLES_LO);
    counters->cycles |= (uint64_t)read_register(device, VGG2RTL_REG_CYCLES_HI) << 32;
    counters->weight_beats = read_register(device, VGG2RTL_REG_WEIGHT_BEATS);
    counters->act_beats = read_register(device, VGG2RTL_REG_ACT_BEATS);
    counters->write_beats = read_register(device, VGG2RTL_REG_WRITE_BEATS);
    counters->array_cycles = read_register(device, VGG2RTL_REG_ARRAY_CYCLES);
}

unsigned vgg2rtl_error(struct vgg2rtl_device *device) {
    return PART(read_register(device, VGG2RTL_REG_STATUS), STATUS_ERROR);
}

const char *vgg2rtl_error_text(unsigned code) {
    static const char *const texts[] = VGG2RTL_ERROR_TEXTS;
    return code < sizeof texts / sizeof *texts ? texts[code] : "unknown";
}

const char *vgg2rtl_result_text(enum vgg2rtl_result result) {
    static const char *const texts[] = VGG2RTL_RESULT_TEXTS;
    return (unsigned)result < sizeof texts / sizeof *texts ? texts[result] : "unknown";
}
