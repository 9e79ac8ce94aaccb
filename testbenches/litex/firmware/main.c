/* Pictures on the accelerator of a LiteX system: self-test, logits, counters, and what the host takes of the time.
 *
 * Lines on the console are for people and for soc.py. Addresses (MODEL, DATA_0, DATA_1, PICTURES, SCRATCH, SCRATCH_BYTES)
 * come from the Makefile's caller, which puts model and pictures there. */
#include <generated/csr.h>
#include <generated/mem.h>
#include <generated/soc.h>
#include <irq.h>
#include <libbase/uart.h>
#include <stdint.h>
#include <stdio.h>
#include <system.h>

#include "network.h"
#include "selftest_data.h"

#define LOOKS 100000u /* at a run, before it counts as one that does not end */
#define NAP 1000u     /* turns of a loop in which an interrupt may come */

static volatile int interrupted;
static struct vgg2rtl_device device;

static uint32_t read32(void *registers, uint32_t address) {
    return *(volatile uint32_t *)((uintptr_t)registers + address);
}

static void write32(void *registers, uint32_t address, uint32_t value) {
    *(volatile uint32_t *)((uintptr_t)registers + address) = value;
}

/* The interrupt is a level: it stays away until it is waited for again. */
static void on_interrupt(void) {
    interrupted = 1;
    irq_setmask(irq_getmask() & ~(1u << VGG2RTL_INTERRUPT));
}

static int sleep_until_interrupt(void *context) {
    (void)context;
    interrupted = 0;
    irq_setmask(irq_getmask() | 1u << VGG2RTL_INTERRUPT);
    for (unsigned i = 0; i < NAP && !interrupted; i++) __asm__ volatile("");
    irq_setmask(irq_getmask() & ~(1u << VGG2RTL_INTERRUPT));
    return interrupted;
}

/* The data cache writes through; a second level is written back by reading more than it holds. */
static void flush(void *context, const void *from, size_t bytes) {
    (void)context, (void)from, (void)bytes;
    flush_l2_cache();
}

static void invalidate(void *context, const void *from, size_t bytes) {
    (void)context, (void)from, (void)bytes;
    flush_l2_cache();
    flush_cpu_dcache();
}

/* A device as it should be. */
static void set_up(void) {
    device.context = (void *)VGG2RTL_BASE;
    device.read32 = read32;
    device.write32 = write32;
    device.sleep = sleep_until_interrupt;
    device.flush = flush;
    device.invalidate = invalidate;
}

static uint32_t cycles(void) {
    timer0_update_value_write(1);
    return 0xffffffffu - timer0_value_read();
}

static void say(const char *what, enum vgg2rtl_result result) {
    printf("%s: %d %s\n", what, (int)result, vgg2rtl_result_text(result));
}

static enum vgg2rtl_result test(const struct vgg2rtl_selftest *selftest, uint64_t address) {
    struct vgg2rtl_memory memory = {(void *)SCRATCH, address, SCRATCH_BYTES};
    struct vgg2rtl_difference difference;
    return vgg2rtl_selftest(&device, selftest, &memory, 20, &difference);
}

static void print_picture(const void *data, unsigned image) {
    uint16_t best;
    printf("logits");
    for (unsigned c = 0; c < VGG2RTL_NETWORK.classes; c++) {
        uint64_t logit = (uint64_t)vgg2rtl_logit(&VGG2RTL_NETWORK, data, image, c);
        printf(" %08lx%08lx", (unsigned long)(logit >> 32), (unsigned long)(logit & 0xffffffffu));
    }
    vgg2rtl_top(&VGG2RTL_NETWORK, data, image, 1, &best);
    long score = (long)(vgg2rtl_dequantized(&VGG2RTL_NETWORK, data, image, best) * 1000 / 65536);
    printf("\nclass %u %s, logit %s%ld.%03ld\n", best, VGG2RTL_NETWORK.class_names ? VGG2RTL_NETWORK.class_names[best] : "",
           score < 0 ? "-" : "", (score < 0 ? -score : score) / 1000, (score < 0 ? -score : score) % 1000);
}

/* A run over the area `data`, and what the host's work for it took. */
struct job {
    void *data;
    uint16_t run;
    uint32_t packed, started, ended, read; /* cycles */
};

/* Packs all pictures of a run and starts it, or queues it. */
static enum vgg2rtl_result start(struct job *job) {
    const struct vgg2rtl_layout *input = &VGG2RTL_NETWORK.input;
    const uint8_t *pixels = (const uint8_t *)PICTURES;
    uint32_t begin = cycles();
    for (unsigned i = 0; i < VGG2RTL_NETWORK.images; i++, pixels += input->channels * input->height * input->width)
        vgg2rtl_set_image(&VGG2RTL_NETWORK, job->data, i, pixels);
    job->packed = cycles() - begin;
    enum vgg2rtl_result result = vgg2rtl_start(&device, &VGG2RTL_NETWORK, job->data, (uintptr_t)job->data, &job->run);
    job->started = cycles() - begin - job->packed;
    return result;
}

/* Waits for its end and finds the classes. */
static enum vgg2rtl_result end(struct job *job) {
    uint16_t best;
    enum vgg2rtl_result result = vgg2rtl_wait(&device, &VGG2RTL_NETWORK, job->data, job->run, LOOKS);
    if (result) return result;
    job->ended = cycles();
    for (unsigned i = 0; i < VGG2RTL_NETWORK.images; i++) vgg2rtl_top(&VGG2RTL_NETWORK, job->data, i, 1, &best);
    job->read = cycles() - job->ended;
    return VGG2RTL_OK;
}

/* Two runs, the second packed and queued while the first is under way. */
static enum vgg2rtl_result classify(void) {
    struct job jobs[2] = {{.data = (void *)DATA_0}, {.data = (void *)DATA_1}};
    struct vgg2rtl_counters counters;
    enum vgg2rtl_result result = start(&jobs[0]);
    if (result == VGG2RTL_OK) result = start(&jobs[1]);
    if (result == VGG2RTL_OK) result = end(&jobs[0]);
    if (result == VGG2RTL_OK) result = end(&jobs[1]);
    if (result != VGG2RTL_OK) return result;
    vgg2rtl_read_counters(&device, &counters);
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned image = 0; image < VGG2RTL_NETWORK.images; image++) print_picture(jobs[i].data, image);
        printf("cycles: pack %lu start %lu read %lu\n", (unsigned long)jobs[i].packed, (unsigned long)jobs[i].started,
               (unsigned long)jobs[i].read);
    }
    printf("cycles: run %lu from end to end %lu\n", (unsigned long)counters.cycles,
           (unsigned long)(jobs[1].ended - jobs[0].ended));
    printf("counters: weight_beats %lu act_beats %lu write_beats %lu array_cycles %lu\n",
           (unsigned long)counters.weight_beats, (unsigned long)counters.act_beats, (unsigned long)counters.write_beats,
           (unsigned long)counters.array_cycles);
    return VGG2RTL_OK;
}

#ifdef CSR_FAULTS_BASE
/* The self-test with a fault of a board, as faults.py makes them: it is the host's where `fault` is 0. */
static void inject(const char *name, unsigned fault, const struct vgg2rtl_selftest *selftest, uint64_t address) {
    faults_fault_write(fault);
    say(name, test(selftest, address));
    faults_fault_write(0);
    set_up();
}

static void inject_all(void) {
    static struct vgg2rtl_value identity[16];
    struct vgg2rtl_selftest other = VGG2RTL_SELFTEST;
    for (unsigned i = 0; i < other.network.identity_count; i++) identity[i] = other.network.identity[i];
    identity[3].value ^= 1;
    other.network.identity = identity;
    device.context = (void *)(VGG2RTL_BASE + 0x1000000); /* where nobody is */
    inject("fault NO_ANSWER", 0, &VGG2RTL_SELFTEST, SCRATCH);
    inject("fault OTHER_CONFIGURATION", 0, &other, SCRATCH);
    inject("fault WRONG_WIDTH (read)", FAULT_READ_HALF, &VGG2RTL_SELFTEST, SCRATCH);
    inject("fault WRONG_WIDTH (write)", FAULT_WRITE_HALF, &VGG2RTL_SELFTEST, SCRATCH);
    inject("fault WRONG_BASE", 0, &VGG2RTL_SELFTEST, SCRATCH + 0x100000);
#ifdef CONFIG_L2_SIZE /* whose flush empties the first level, too */
    device.flush = NULL;
    inject("fault NOT_FLUSHED", 0, &VGG2RTL_SELFTEST, SCRATCH);
#else
    device.invalidate = NULL;
    inject("fault NOT_INVALIDATED", 0, &VGG2RTL_SELFTEST, SCRATCH);
#endif
    inject("fault NO_INTERRUPT", FAULT_NO_INTERRUPT, &VGG2RTL_SELFTEST, SCRATCH);
    inject("fault NO_END", FAULT_NO_READY, &VGG2RTL_SELFTEST, SCRATCH);
}
#endif

int main(void) {
    struct vgg2rtl_difference difference;
    irq_setmask(0);
    irq_setie(1);
    uart_init();
    irq_attach(VGG2RTL_INTERRUPT, on_interrupt);
    timer0_en_write(0);
    timer0_reload_write(0xffffffffu);
    timer0_load_write(0xffffffffu);
    timer0_en_write(1);
    set_up();
    printf("%s: %u pictures\n", VGG2RTL_NETWORK.name, VGG2RTL_NETWORK.images);
    say("self-test", test(&VGG2RTL_SELFTEST, SCRATCH));
    enum vgg2rtl_result result = vgg2rtl_probe(&device, &VGG2RTL_NETWORK, &difference);
    if (result == VGG2RTL_OK) result = vgg2rtl_load(&device, &VGG2RTL_NETWORK, (void *)MODEL, MODEL);
    if (result == VGG2RTL_OK) result = classify();
    say("pictures", result);
#ifdef CSR_FAULTS_BASE
    inject_all();
#endif
    printf("end\n");
#ifdef CSR_SIM_FINISH_BASE
    sim_finish_finish_write(1);
#endif
    while (1)
        ;
}
