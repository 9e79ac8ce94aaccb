//! Latencies of the accelerator's blocks, in cycles: what the cycle model adds up. Each is the constant of a block in hw,
//! whose bench checks it; the block's documentation says from which port to which.

/// `FieldCheck::LATENCY`.
pub const FIELD_CHECK: usize = 2;
/// `Controller::SETTLE`: cycles in which a port must be idle, or a layer done, to be believed.
pub const SETTLE: usize = 8;
/// Cycles of reset after a run, besides those in which flags are under way in the compute core.
pub const FLUSH_MARGIN: usize = 16;
/// `Fifo::LATENCY`.
pub const FIFO: usize = 3;
/// `Unpacker::LATENCY`.
pub const UNPACKER: usize = 1;
/// `Packer::LATENCY`.
pub const PACKER: usize = 1;
/// `LaneBuffer::LATENCY`.
pub const LANE_BUFFER: usize = 1;
/// `Pe::LATENCY`.
pub const PE: usize = 3;
/// `Accumulator::LATENCY`.
pub const ACCUMULATOR: usize = 3;
/// `Accumulator::DRAIN_LATENCY`.
pub const ACCUMULATOR_DRAIN: usize = 2;
/// `GroupSelect::LATENCY`.
pub const GROUP_SELECT: usize = 1;
/// `RoundShift::LATENCY`.
pub const ROUND_SHIFT: usize = 5;
/// `Requantizer::LATENCY`.
pub const REQUANTIZER: usize = 3 + ROUND_SHIFT;
/// `RequantizerPow2::LATENCY`.
pub const REQUANTIZER_POW2: usize = 2 + ROUND_SHIFT;
/// `MaxPool::LATENCY`.
pub const MAX_POOL: usize = 1;

/// From a position in the sequencer to its partial sum at the accumulators of column 0, on an array of `rows` rows.
pub const fn to_accumulators(rows: usize) -> usize {
    LANE_BUFFER + rows - 1 + PE
}

/// From the last position of an output tile to its accumulators being complete, on an array of `rows` rows and `groups` of
/// columns, one a column where none share a multiplier.
pub const fn core(rows: usize, groups: usize) -> usize {
    to_accumulators(rows) + groups - 1 + ACCUMULATOR
}

/// From the address of an accumulator to the last beat that it completes, at most, with requantizers of this latency.
pub const fn drain(requantizer: usize) -> usize {
    ACCUMULATOR_DRAIN + GROUP_SELECT + requantizer + MAX_POOL + PACKER + 1
}
