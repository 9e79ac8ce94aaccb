/* Registers of the accelerator. Generated from src/isa; `VGG2RTL_REFRESH=1 cargo test --test rtl` writes it anew. */
#ifndef VGG2RTL_REGISTERS_H
#define VGG2RTL_REGISTERS_H

#define VGG2RTL_REG_CONTROL 0x00u
#define VGG2RTL_REG_STATUS 0x04u
#define VGG2RTL_REG_READ_LIMIT 0x08u
#define VGG2RTL_REG_WRITE_BASE 0x0cu
#define VGG2RTL_REG_WRITE_LIMIT 0x10u
#define VGG2RTL_REG_IRQ_ENABLE 0x14u
#define VGG2RTL_REG_ERROR_COMMAND 0x18u
#define VGG2RTL_REG_CYCLES_LO 0x20u
#define VGG2RTL_REG_CYCLES_HI 0x24u
#define VGG2RTL_REG_WEIGHT_BEATS 0x28u
#define VGG2RTL_REG_ACT_BEATS 0x2cu
#define VGG2RTL_REG_WRITE_BEATS 0x30u
#define VGG2RTL_REG_ARRAY_CYCLES 0x34u
#define VGG2RTL_REG_RUNS 0x38u
#define VGG2RTL_REG_ID 0x40u
#define VGG2RTL_REG_VERSION 0x44u
#define VGG2RTL_REG_ARRAY 0x48u
#define VGG2RTL_REG_WIDTHS 0x4cu
#define VGG2RTL_REG_DEPTHS 0x50u
#define VGG2RTL_REG_DRAIN 0x54u
#define VGG2RTL_REG_BUS 0x58u
#define VGG2RTL_REG_FOLD_WIDTH 0x5cu
#define VGG2RTL_REG_MODEL_BASE 0x60u
#define VGG2RTL_REG_MODEL_BASE_HI 0x64u
#define VGG2RTL_REG_DATA_BASE 0x68u
#define VGG2RTL_REG_DATA_BASE_HI 0x6cu
#define VGG2RTL_CONTROL_START_LOW 0
#define VGG2RTL_CONTROL_START_BITS 1
#define VGG2RTL_CONTROL_CLEAR_LOW 1
#define VGG2RTL_CONTROL_CLEAR_BITS 1
#define VGG2RTL_STATUS_BUSY_LOW 0
#define VGG2RTL_STATUS_BUSY_BITS 1
#define VGG2RTL_STATUS_DONE_LOW 1
#define VGG2RTL_STATUS_DONE_BITS 1
#define VGG2RTL_STATUS_REFUSED_LOW 2
#define VGG2RTL_STATUS_REFUSED_BITS 1
#define VGG2RTL_STATUS_QUEUED_LOW 3
#define VGG2RTL_STATUS_QUEUED_BITS 1
#define VGG2RTL_STATUS_ERROR_LOW 8
#define VGG2RTL_STATUS_ERROR_BITS 8
#define VGG2RTL_STATUS_COMPLETED_LOW 16
#define VGG2RTL_STATUS_COMPLETED_BITS 16
#define VGG2RTL_IRQ_ENABLE_IRQ_LOW 0
#define VGG2RTL_IRQ_ENABLE_IRQ_BITS 1
#define VGG2RTL_ARRAY_ROWS_LOW 0
#define VGG2RTL_ARRAY_ROWS_BITS 16
#define VGG2RTL_ARRAY_COLS_LOW 16
#define VGG2RTL_ARRAY_COLS_BITS 16
#define VGG2RTL_WIDTHS_WEIGHT_BITS_LOW 0
#define VGG2RTL_WIDTHS_WEIGHT_BITS_BITS 8
#define VGG2RTL_WIDTHS_ACT_BITS_LOW 8
#define VGG2RTL_WIDTHS_ACT_BITS_BITS 8
#define VGG2RTL_WIDTHS_ACC_BITS_LOW 16
#define VGG2RTL_WIDTHS_ACC_BITS_BITS 16
#define VGG2RTL_DEPTHS_ACT_DEPTH_LOW 0
#define VGG2RTL_DEPTHS_ACT_DEPTH_BITS 16
#define VGG2RTL_DEPTHS_WEIGHT_DEPTH_LOW 16
#define VGG2RTL_DEPTHS_WEIGHT_DEPTH_BITS 16
#define VGG2RTL_DRAIN_ACC_DEPTH_LOW 0
#define VGG2RTL_DRAIN_ACC_DEPTH_BITS 16
#define VGG2RTL_DRAIN_REQUANTIZERS_LOW 16
#define VGG2RTL_DRAIN_REQUANTIZERS_BITS 16
#define VGG2RTL_BUS_BUS_BITS_LOW 0
#define VGG2RTL_BUS_BUS_BITS_BITS 16
#define VGG2RTL_BUS_FOLD_CHANNELS_LOW 16
#define VGG2RTL_BUS_FOLD_CHANNELS_BITS 8
#define VGG2RTL_BUS_POW2_LOW 24
#define VGG2RTL_BUS_POW2_BITS 1
#define VGG2RTL_BUS_ADDRESS_BITS_LOW 25
#define VGG2RTL_BUS_ADDRESS_BITS_BITS 7
#define VGG2RTL_ERROR_UNKNOWN_OPCODE 1u
#define VGG2RTL_ERROR_BAD_FIELD 2u
#define VGG2RTL_ERROR_READ_RESPONSE 3u
#define VGG2RTL_ERROR_WRITE_RESPONSE 4u
#define VGG2RTL_ERROR_READ_ADDRESS 5u
#define VGG2RTL_ERROR_WRITE_ADDRESS 6u
#define VGG2RTL_ERROR_TIMEOUT 7u
#define VGG2RTL_ERROR_PROGRAM_TOO_LONG 8u
#define VGG2RTL_ERROR_MISALIGNED_BASE 9u

/* Answers of the driver. */
enum vgg2rtl_result {
    VGG2RTL_OK, /* all is well */
    VGG2RTL_NO_ANSWER, /* no accelerator answers on the register port */
    VGG2RTL_OTHER_CORE, /* something else answers: ID or VERSION is another one */
    VGG2RTL_OTHER_CONFIGURATION, /* the accelerator is built for another network or array */
    VGG2RTL_REGISTERS_LOST, /* a register does not hold what is written to it */
    VGG2RTL_INTERRUPT_STUCK, /* the interrupt comes without a run */
    VGG2RTL_NO_MEMORY, /* memory answers with an error */
    VGG2RTL_WRONG_BASE, /* the accelerator reads other memory than the host writes */
    VGG2RTL_NOT_FLUSHED, /* the accelerator reads what memory held before */
    VGG2RTL_WRONG_WIDTH, /* words of the bus arrive or leave in part */
    VGG2RTL_NOT_INVALIDATED, /* the host reads what memory held before */
    VGG2RTL_WRONG_NUMBERS, /* the result differs from the golden model's */
    VGG2RTL_NO_INTERRUPT, /* the run has ended, and no interrupt came */
    VGG2RTL_NO_END, /* the run does not end */
    VGG2RTL_MISALIGNED, /* an address is not a multiple of 4096 */
    VGG2RTL_OUT_OF_REACH, /* an area ends beyond the addresses of the accelerator */
    VGG2RTL_TOO_SMALL, /* the memory is too small */
    VGG2RTL_BUSY, /* one run is under way and another queued */
    VGG2RTL_FAILED, /* the run ended with an error */
};

/* By code. */
#define VGG2RTL_RESULT_TEXTS \
    {"all is well", \
     "no accelerator answers on the register port", \
     "something else answers: ID or VERSION is another one", \
     "the accelerator is built for another network or array", \
     "a register does not hold what is written to it", \
     "the interrupt comes without a run", \
     "memory answers with an error", \
     "the accelerator reads other memory than the host writes", \
     "the accelerator reads what memory held before", \
     "words of the bus arrive or leave in part", \
     "the host reads what memory held before", \
     "the result differs from the golden model's", \
     "the run has ended, and no interrupt came", \
     "the run does not end", \
     "an address is not a multiple of 4096", \
     "an area ends beyond the addresses of the accelerator", \
     "the memory is too small", \
     "one run is under way and another queued", \
     "the run ended with an error"}
#define VGG2RTL_ERROR_TEXTS \
    {"no error", \
     "unknown opcode", \
     "a field of the command cannot work", \
     "memory answered a read with an error", \
     "memory answered a write with an error", \
     "a read beyond READ_LIMIT or WRITE_LIMIT", \
     "a write outside WRITE_BASE … WRITE_LIMIT", \
     "no progress", \
     "the program has no end mark", \
     "a base is not a multiple of 4096"}

#endif
