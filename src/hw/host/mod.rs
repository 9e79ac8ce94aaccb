//! What the host sees and says: registers, commands, errors.
