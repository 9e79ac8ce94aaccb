//! Design points of the accelerator.

use serde::{Deserialize, Serialize};

/// Everything that shapes the emitted hardware. Sizes are checked by [`ArrayConfig::validate`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArrayConfig {
    /// Array rows: reduction.
    pub rows: usize,
    /// Array columns: output channels.
    pub cols: usize,
}

impl Default for ArrayConfig {
    fn default() -> Self {
        Self { rows: 8, cols: 8 }
    }
}
