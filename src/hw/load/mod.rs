//! What to read when: activations and weights into the buffers of the compute core.
