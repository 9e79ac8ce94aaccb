// The C driver against the accelerator in Verilator: the self-test, two runs over two data areas, a third start, every logit
// compared. Its verdict is one line, "PASS words=N cycles=N", words being logits, or "FAIL reason".
//
// Exit code: 0 all is as it should be, 1 something is not, 2 it could not start.
#include "device.h"
#include "network.h"

unsigned selftest_failures();  // board_faults.cpp

namespace {

uint32_t read32(void *device, uint32_t address) { return static_cast<Device *>(device)->axil_read(address); }
void write32(void *device, uint32_t address, uint32_t value) { static_cast<Device *>(device)->axil_write(address, value); }
int sleep(void *device) {
    Device *accelerator = static_cast<Device *>(device);
    while (!accelerator->irq()) accelerator->cycle();
    return 1;
}

int wrong(const std::string &what) {
    printf("FAIL %s\n", what.c_str());
    return 1;
}

// Logits of the run in `data` that are not those of the file.
unsigned differences(const void *data, const std::vector<uint8_t> &logits) {
    unsigned count = 0;
    for (unsigned i = 0; i < VGG2RTL_NETWORK.images; i++)
        for (unsigned c = 0; c < VGG2RTL_NETWORK.classes; c++) {
            int64_t wanted, found = vgg2rtl_logit(&VGG2RTL_NETWORK, data, i, c);
            memcpy(&wanted, &logits[8 * (i * VGG2RTL_NETWORK.classes + c)], 8);
            count += found != wanted;
        }
    return count;
}

// Whether the classes are in the order of their logits.
bool in_order(const void *data) {
    std::vector<uint16_t> classes(VGG2RTL_NETWORK.classes);
    vgg2rtl_top(&VGG2RTL_NETWORK, data, 0, VGG2RTL_NETWORK.classes, classes.data());
    auto logit = [&](size_t i) { return vgg2rtl_logit(&VGG2RTL_NETWORK, data, 0, classes[i]); };
    for (size_t i = 1; i < classes.size(); i++)
        if (logit(i) > logit(i - 1) || (logit(i) == logit(i - 1) && classes[i] < classes[i - 1])) return false;
    return true;
}

int run(Device &accelerator, std::vector<uint8_t> &model, const MemoryOptions &options) {
    const vgg2rtl_layout &map = VGG2RTL_NETWORK.input;
    size_t picture = size_t(map.channels) * map.height * map.width;
    std::vector<uint8_t> pictures(VGG2RTL_NETWORK.images * picture), logits(8ul * VGG2RTL_NETWORK.images * VGG2RTL_NETWORK.classes);
    read_file("data/pictures.bin", pictures, pictures.size());
    read_file("data/logits.bin", logits, logits.size());
    vgg2rtl_device device = {};
    device.context = &accelerator;
    device.read32 = read32;
    device.write32 = write32;
    device.sleep = sleep;
    vgg2rtl_difference difference;
    if (vgg2rtl_probe(&device, &VGG2RTL_NETWORK, &difference)) return wrong("this is not the network's accelerator");
    if (vgg2rtl_load(&device, &VGG2RTL_NETWORK, model.data(), options.model_base + 1) != VGG2RTL_MISALIGNED)
        return wrong("a base that is not aligned is taken");
    if (vgg2rtl_load(&device, &VGG2RTL_NETWORK, model.data(), options.model_base)) return wrong("the model is not taken");
    uint16_t runs[2], third;
    for (unsigned area = 0; area < 2; area++) {
        for (unsigned i = 0; i < VGG2RTL_NETWORK.images; i++)
            vgg2rtl_set_image(&VGG2RTL_NETWORK, accelerator.data(area), i, &pictures[i * picture]);
        if (vgg2rtl_start(&device, &VGG2RTL_NETWORK, accelerator.data(area), options.data_bases[area], &runs[area]))
            return wrong("a start is refused");
    }
    if (vgg2rtl_start(&device, &VGG2RTL_NETWORK, accelerator.data(0), options.data_bases[0], &third) != VGG2RTL_BUSY)
        return wrong("a third start is not refused");
    for (unsigned area = 0; area < 2; area++) {
        if (vgg2rtl_wait(&device, &VGG2RTL_NETWORK, accelerator.data(area), runs[area], 10))
            return wrong(vgg2rtl_error_text(vgg2rtl_error(&device)));
        if (unsigned count = differences(accelerator.data(area), logits)) return wrong(std::to_string(count) + " logits differ");
        if (!in_order(accelerator.data(area))) return wrong("the classes are not in order");
    }
    vgg2rtl_counters counters;
    vgg2rtl_read_counters(&device, &counters);
    printf("PASS words=%u cycles=%llu\n", 2u * VGG2RTL_NETWORK.images * VGG2RTL_NETWORK.classes,
           (unsigned long long)counters.cycles);
    return 0;
}

}  // namespace

int main() {
    if (unsigned failures = selftest_failures()) return wrong(std::to_string(failures) + " self-tests give the wrong answer");
    MemoryOptions options;
    options.model_bytes = VGG2RTL_NETWORK.model_bytes;
    options.write_base = VGG2RTL_NETWORK.write_base;
    options.write_limit = VGG2RTL_NETWORK.data_bytes;
    options.data_bases = {0x1000, 0x1000 + (uint64_t)VGG2RTL_NETWORK.data_bytes};
    options.model_base = options.data_bases[1] + VGG2RTL_NETWORK.data_bytes;
    Device accelerator(options);
    std::vector<uint8_t> image(options.model_bytes + options.write_base);
    read_file("data/image.bin", image, image.size());
    accelerator.load(image.data(), options.model_bytes);
    accelerator.reset();
    try {
        return run(accelerator, image, options);
    } catch (Hang) {
        return wrong("it hangs");
    }
}
