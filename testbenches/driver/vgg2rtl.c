#include "vgg2rtl.h"

#include "registers.h"

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

enum vgg2rtl_result vgg2rtl_probe(struct vgg2rtl_device *device, const struct vgg2rtl_network *network,
                                  struct vgg2rtl_difference *difference) {
    for (unsigned i = 0; i < network->identity_count; i++) {
        const struct vgg2rtl_value *wanted = &network->identity[i];
        difference->address = wanted->address;
        difference->expected = wanted->value;
        difference->found = read_register(device, wanted->address);
        if (difference->found != difference->expected)
            return wanted->address == VGG2RTL_REG_ID ? VGG2RTL_NO_ANSWER : VGG2RTL_OTHER_CONFIGURATION;
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

/* Writes a code of `bits` bits at bit `at` of `bytes`, where zeros are. */
static void put(uint8_t *bytes, uint32_t at, unsigned bits, uint32_t code) {
    uint32_t shifted = (code & ((1u << bits) - 1)) << (at & 7);
    for (bytes += at >> 3; shifted; shifted >>= 8) *bytes++ |= (uint8_t)shifted;
}

void vgg2rtl_set_image(const struct vgg2rtl_network *network, void *data, unsigned image, const uint8_t *pixels) {
    const struct vgg2rtl_layout *map = &network->input;
    uint8_t *first = (uint8_t *)data + map->address + (size_t)image * map->image_pitch;
    for (uint32_t i = 0; i < map->image_pitch; i++) first[i] = 0;
    for (unsigned c = 0; c < map->channels; c++) {
        const int16_t *codes = network->codes + 256 * c;
        const uint8_t *pixel = pixels + (network->reversed ? map->channels - 1 - c : c);
        uint8_t *row = first + (size_t)(c / map->block) * map->plane_pitch;
        for (unsigned y = 0; y < map->height; y++, row += map->row_pitch) {
            uint32_t at = c % map->block * map->bits;
            for (unsigned x = 0; x < map->width; x++, pixel += map->channels)
                for (unsigned plane = 0; plane < map->planes; plane++, at += map->block * map->bits)
                    put(row, at, map->bits, (uint32_t)codes[*pixel] >> plane * map->bits);
        }
    }
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
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++) value |= (uint64_t)at[i] << 8 * i;
    return (int64_t)value;
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
