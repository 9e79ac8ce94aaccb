#include "selftest.h"

/* Programs that answer whether the accelerator reads what the host has written: their first byte and the error it gives. */
static const struct {
    uint8_t opcode;
    unsigned error;
} probes[] = {{0x55, VGG2RTL_ERROR_UNKNOWN_OPCODE}, {0xff, 0}, {0xaa, VGG2RTL_ERROR_UNKNOWN_OPCODE}};

#define POISON 0xa5 /* where the run has not written */

/* The test under way. */
struct trial {
    struct vgg2rtl_device *device;
    const struct vgg2rtl_selftest *test;
    const struct vgg2rtl_memory *memory;
    struct vgg2rtl_difference *difference;
    uint32_t looks;
    int interrupted; /* an interrupt came */
};

static uint32_t read_register(const struct trial *t, uint32_t address) {
    return t->device->read32(t->device->context, address);
}

static void write_register(const struct trial *t, uint32_t address, uint32_t value) {
    t->device->write32(t->device->context, address, value);
}

static uint8_t *bytes(const struct trial *t) {
    return (uint8_t *)t->memory->bytes;
}

static enum vgg2rtl_result wrong(const struct trial *t, enum vgg2rtl_result result, uint32_t at, uint32_t expected,
                                 uint32_t found) {
    t->difference->address = at;
    t->difference->expected = expected;
    t->difference->found = found;
    return result;
}

static void fill(uint8_t *to, uint32_t count, uint8_t value) {
    for (; count > 0; count--) *to++ = value;
}

/* Whether a register holds what is written to it. */
static enum vgg2rtl_result check_registers(const struct trial *t) {
    static const uint32_t patterns[] = {0xa55a3cc3u, 0x5aa5c33cu, 0};
    for (unsigned i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        write_register(t, VGG2RTL_REG_READ_LIMIT, patterns[i]);
        uint32_t found = read_register(t, VGG2RTL_REG_READ_LIMIT);
        if (found != patterns[i]) return wrong(t, VGG2RTL_REGISTERS_LOST, VGG2RTL_REG_READ_LIMIT, patterns[i], found);
    }
    return VGG2RTL_OK;
}

/* Whether the interrupt is quiet; the first look takes what came before. */
static enum vgg2rtl_result check_quiet(const struct trial *t) {
    if (!t->device->sleep) return VGG2RTL_OK;
    write_register(t, VGG2RTL_REG_CONTROL, 1u << VGG2RTL_CONTROL_CLEAR_LOW);
    t->device->sleep(t->device->context);
    return t->device->sleep(t->device->context) ? VGG2RTL_INTERRUPT_STUCK : VGG2RTL_OK;
}

/* Runs what is in memory, within the limits of `network`. VGG2RTL_FAILED: with an error, which `difference` holds. */
static enum vgg2rtl_result run(struct trial *t, const struct vgg2rtl_network *network) {
    uint8_t *data = bytes(t) + network->model_bytes;
    uint32_t looks = t->looks;
    uint16_t run;
    enum vgg2rtl_result result = vgg2rtl_load(t->device, network, bytes(t), t->memory->address);
    if (result == VGG2RTL_OK)
        result = vgg2rtl_start(t->device, network, data, t->memory->address + network->model_bytes, &run);
    if (result != VGG2RTL_OK) return result;
    for (; !vgg2rtl_ended(t->device, run) && looks > 0; looks--)
        if (t->device->sleep) t->interrupted |= t->device->sleep(t->device->context);
    if (!vgg2rtl_ended(t->device, run)) return VGG2RTL_NO_END;
    if (t->device->sleep) t->interrupted |= t->device->sleep(t->device->context);
    unsigned error = vgg2rtl_error(t->device);
    write_register(t, VGG2RTL_REG_CONTROL, 1u << VGG2RTL_CONTROL_CLEAR_LOW);
    if (error == VGG2RTL_ERROR_TIMEOUT) return VGG2RTL_NO_END;
    if (error == VGG2RTL_ERROR_READ_RESPONSE || error == VGG2RTL_ERROR_WRITE_RESPONSE)
        return wrong(t, VGG2RTL_NO_MEMORY, 0, 0, error);
    return error ? wrong(t, VGG2RTL_FAILED, 0, 0, error) : VGG2RTL_OK;
}

/* Reads all the memory that the test does not need: what else was in a cache no longer is. */
static void evict(const struct trial *t) {
    const volatile uint8_t *rest = bytes(t);
    for (size_t at = t->test->network.model_bytes + t->test->network.data_bytes; at < t->memory->size; at++) (void)rest[at];
}

/* Runs anew what is in memory, when caches have had time to write it there. */
static enum vgg2rtl_result run_again(struct trial *t, const struct vgg2rtl_network *network) {
    evict(t);
    return run(t, network);
}

/* Whether programs of one byte do what they should, at the first run or, `late`, at the second. What runs if it is another
 * program must not write. */
static enum vgg2rtl_result check_fetch(struct trial *t, int late) {
    struct vgg2rtl_network reading = t->test->network;
    reading.write_base = reading.data_bytes;
    fill(bytes(t), t->test->network.model_bytes, 0);
    for (unsigned i = 0; i < sizeof probes / sizeof *probes; i++) {
        bytes(t)[0] = probes[i].opcode;
        enum vgg2rtl_result result = run(t, &reading);
        if (late && (result == VGG2RTL_OK || result == VGG2RTL_FAILED)) result = run_again(t, &reading);
        unsigned error = result == VGG2RTL_FAILED ? t->difference->found : 0;
        if (result != VGG2RTL_OK && result != VGG2RTL_FAILED) return result;
        if (error != probes[i].error) return wrong(t, VGG2RTL_WRONG_BASE, 0, probes[i].error, error);
    }
    return VGG2RTL_OK;
}

/* Puts the test's network and input to memory, poison to where it writes. */
static void prepare(const struct trial *t) {
    const struct vgg2rtl_network *network = &t->test->network;
    fill(bytes(t), network->model_bytes + network->write_base, 0);
    fill(bytes(t) + network->model_bytes + network->write_base, network->data_bytes - network->write_base, POISON);
    for (unsigned i = 0; i < t->test->memory_count; i++) {
        const struct vgg2rtl_piece *piece = &t->test->memory[i];
        for (uint32_t at = 0; at < piece->count; at++) bytes(t)[piece->address + at] = piece->bytes[at];
    }
}

/* Whether memory holds what the run must write, as the host sees it. */
static int written(const struct trial *t) {
    const struct vgg2rtl_network *network = &t->test->network;
    uint8_t *window = bytes(t) + network->model_bytes + network->write_base;
    if (t->device->invalidate) t->device->invalidate(t->device->context, window, network->data_bytes - network->write_base);
    for (unsigned i = 0; i < t->test->written_count; i++) {
        const struct vgg2rtl_piece *piece = &t->test->written[i];
        for (uint32_t at = 0; at < piece->count; at++) {
            uint8_t found = bytes(t)[piece->address + at];
            if (found == piece->bytes[at]) continue;
            wrong(t, VGG2RTL_OK, piece->address + at, piece->bytes[at], found);
            return 0;
        }
    }
    return 1;
}

/* Whether the host still sees poison everywhere. */
static int untouched(const struct trial *t) {
    const struct vgg2rtl_piece *piece = &t->test->written[0];
    for (uint32_t at = 0; at < piece->count; at++)
        if (bytes(t)[piece->address + at] != POISON) return 0;
    return 1;
}

/* Whether of each word the first `part` bytes have been written, one word behind the other at a distance of `pitch`, and
 * nothing between. */
static int narrow(const struct trial *t, uint32_t part, uint32_t pitch) {
    const struct vgg2rtl_piece *piece = &t->test->written[0];
    uint32_t bus = t->test->bus_bytes;
    for (uint32_t word = 0; word < piece->count / bus; word++)
        for (uint32_t at = 0; at < pitch; at++) {
            uint8_t expected = at < part ? piece->bytes[word * bus + at] : POISON;
            if (bytes(t)[piece->address + word * pitch + at] != expected) return 0;
        }
    return 1;
}

/* Reads what the run will write: what a cache holds of it is then old. */
static void look(const struct trial *t) {
    for (unsigned i = 0; i < t->test->written_count; i++) {
        const volatile uint8_t *from = bytes(t) + t->test->written[i].address;
        for (uint32_t at = 0; at < t->test->written[i].count; at++) (void)from[at];
    }
}

/* What a run without an error did that did not write what it should. */
static enum vgg2rtl_result judge(struct trial *t) {
    if (untouched(t)) return VGG2RTL_NOT_INVALIDATED;
    for (uint32_t part = t->test->bus_bytes / 2; part >= 4; part /= 2)
        if (narrow(t, part, t->test->bus_bytes) || narrow(t, part, part)) return VGG2RTL_WRONG_WIDTH;
    return VGG2RTL_WRONG_NUMBERS;
}

/* Runs the test's network. The program's first byte is known to arrive. */
static enum vgg2rtl_result check_run(struct trial *t) {
    const struct vgg2rtl_network *network = &t->test->network;
    prepare(t);
    look(t);
    enum vgg2rtl_result result = run(t, network);
    struct vgg2rtl_difference found = *t->difference;
    if (result == VGG2RTL_OK && written(t)) return result;
    if (result == VGG2RTL_OK) {
        found = *t->difference;
        result = run_again(t, network);
        if (result == VGG2RTL_OK) result = written(t) ? VGG2RTL_NOT_INVALIDATED : judge(t);
    } else if (result == VGG2RTL_FAILED) {
        result = run_again(t, network);
        if (result == VGG2RTL_OK) result = VGG2RTL_NOT_FLUSHED;
        if (result == VGG2RTL_FAILED) result = VGG2RTL_WRONG_WIDTH;
    }
    *t->difference = found;
    return result;
}

enum vgg2rtl_result vgg2rtl_selftest(struct vgg2rtl_device *device, const struct vgg2rtl_selftest *test,
                                     const struct vgg2rtl_memory *memory, uint32_t looks,
                                     struct vgg2rtl_difference *difference) {
    struct trial t = {device, test, memory, difference, looks, 0};
    uint32_t needed = test->network.model_bytes + test->network.data_bytes;
    if (memory->size < needed) return wrong(&t, VGG2RTL_TOO_SMALL, 0, needed, (uint32_t)memory->size);
    enum vgg2rtl_result result = vgg2rtl_probe(device, &test->network, difference);
    if (result == VGG2RTL_OK) result = check_registers(&t);
    if (result == VGG2RTL_OK) result = check_quiet(&t);
    if (result == VGG2RTL_OK) result = check_fetch(&t, 0);
    if (result == VGG2RTL_WRONG_BASE && check_fetch(&t, 1) == VGG2RTL_OK) result = VGG2RTL_NOT_FLUSHED;
    if (result == VGG2RTL_OK) result = check_run(&t);
    if (result == VGG2RTL_OK && device->sleep && !t.interrupted) result = VGG2RTL_NO_INTERRUPT;
    return result;
}
