//! What ONNX cannot say of an integer model, and `export --onnx` writes into the file's metadata: names, preprocessing,
//! ranges of weights, and which of equal fractions m / 2^s a layer has.

use super::proto::ModelProto;
use crate::arith::{Levels, Multiplier};
use crate::net::Header;
use serde::{Deserialize, Serialize};

/// Key of the description in the file's metadata.
pub const KEY: &str = "vgg2rtl";

/// The description.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Own {
    /// Name, input, preprocessing, classes.
    #[serde(flatten)]
    pub header: Header,
    /// In order of execution.
    pub layers: Vec<OwnLayer>,
}

/// What is said of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnLayer {
    /// Its name.
    pub name: String,
    /// Range of the weights' codes.
    pub weight_levels: Levels,
    /// One, or one an output channel; none on the last layer.
    pub multipliers: Vec<Multiplier>,
    /// The biases where ONNX's 32 bits do not hold them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias: Option<Vec<i64>>,
}

impl Own {
    /// The description in `file`, if this program wrote one.
    pub fn of(file: &ModelProto) -> Result<Option<Self>, String> {
        let Some(entry) = file.metadata_props.iter().find(|e| e.key == KEY) else { return Ok(None) };
        serde_json::from_str(&entry.value).map(Some).map_err(|e| format!("metadata {KEY}: {e}"))
    }
}
