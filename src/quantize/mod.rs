//! From float to integers: observers, calibration, lowering.
