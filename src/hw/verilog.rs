//! The Verilog of a design point.

use super::Accelerator;
use super::emit::{Module, emit};
use crate::config::ArrayConfig;
use crate::{Error, Result, store};
use rust_hdl::prelude::Block;

/// The modules of the accelerator `config`, children before parents, the last one being `accelerator`. Their headers
/// name this program's version and the configuration's hash.
///
/// Fails where the configuration is not valid.
pub fn verilog(config: &ArrayConfig) -> Result<Vec<Module>> {
    config.validate()?;
    let mut top = Accelerator::new(config);
    top.connect_all();
    let generated_by = format!("vgg2rtl {}, configuration {}", env!("CARGO_PKG_VERSION"), hash(config));
    emit("accelerator", &top, &generated_by).map_err(|e| Error::usage("the design point", e))
}

/// Digits that tell configurations apart.
pub fn hash(config: &ArrayConfig) -> String {
    let json = serde_json::to_vec(config).expect("a configuration is plain data");
    store::digest([json])[..16].into()
}
