//! From accumulators to written maps: requantization, pooling, packing.
