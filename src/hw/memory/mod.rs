//! External memory: AXI4 ports, FIFOs, from words of the bus to items and back.
