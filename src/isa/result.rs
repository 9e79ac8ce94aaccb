//! What the drivers answer, and what their self-test finds wrong on a board.

/// An answer of the drivers.
#[derive(Debug)]
pub struct Outcome {
    /// Name in C, after `VGG2RTL_`.
    pub name: &'static str,
    /// In a message.
    pub text: &'static str,
    /// What to look at.
    pub look: &'static str,
}

const fn outcome(name: &'static str, text: &'static str, look: &'static str) -> Outcome {
    Outcome { name, text, look }
}

/// The answers by code, 0 first. The order is that in which the self-test looks.
pub const OUTCOMES: [Outcome; 19] = [
    outcome("OK", "all is well", "-"),
    outcome(
        "NO_ANSWER",
        "no accelerator answers on the register port",
        "the base of the registers; clock and reset of the accelerator; whether the bitstream is loaded",
    ),
    outcome(
        "OTHER_CORE",
        "something else answers: ID or VERSION is another one",
        "the base of the registers; the version of the bitstream",
    ),
    outcome(
        "OTHER_CONFIGURATION",
        "the accelerator is built for another network or array",
        "the bitstream: register, expected and found value are in `difference`",
    ),
    outcome(
        "REGISTERS_LOST",
        "a register does not hold what is written to it",
        "the width of the register port, which needs writes of 32 bits with all four strobes; whether the registers are cached",
    ),
    outcome(
        "INTERRUPT_STUCK",
        "the interrupt comes without a run",
        "its polarity, its number; it is a level, high until CLEAR",
    ),
    outcome(
        "NO_MEMORY",
        "memory answers with an error",
        "the address; what the port of the accelerator reaches",
    ),
    outcome(
        "WRONG_BASE",
        "the accelerator reads other memory than the host writes",
        "the address of the memory as the accelerator sees it: its port may count from elsewhere than the processor",
    ),
    outcome(
        "NOT_FLUSHED",
        "the accelerator reads what memory held before",
        "the function `flush`; AxCACHE of a coherent port",
    ),
    outcome(
        "WRONG_WIDTH",
        "words of the bus arrive or leave in part",
        "the width of the memory port: narrower than the bus of the build, as a 64-bit port that is set to 32 bits",
    ),
    outcome(
        "NOT_INVALIDATED",
        "the host reads what memory held before",
        "the function `invalidate`; AxCACHE of a coherent port",
    ),
    outcome("WRONG_NUMBERS", "the result differs from the golden model's", "the clock: is its timing met?"),
    outcome(
        "NO_INTERRUPT",
        "the run has ended, and no interrupt came",
        "the wire `irq`, its number, whether the processor lets it through",
    ),
    outcome(
        "NO_END",
        "the run does not end",
        "clock and reset of the memory port: nothing answers there; `sleep`, if it waits for an interrupt without an end",
    ),
    outcome("MISALIGNED", "an address is not a multiple of 4096", "the address"),
    outcome(
        "OUT_OF_REACH",
        "an area ends beyond the addresses of the accelerator",
        "the address; `--address-bits` of the build",
    ),
    outcome(
        "TOO_SMALL",
        "the memory is too small",
        "the bytes that are needed and those that are there, in `difference`",
    ),
    outcome("BUSY", "one run is under way and another queued", "wait for the first one"),
    outcome("FAILED", "the run ended with an error", "`vgg2rtl_error_text(vgg2rtl_error(&device))`"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_texts_tell_apart() {
        assert_eq!(OUTCOMES.iter().map(|o| o.name).collect::<BTreeSet<_>>().len(), OUTCOMES.len());
        assert_eq!(OUTCOMES.iter().map(|o| o.text).collect::<BTreeSet<_>>().len(), OUTCOMES.len());
    }
}
