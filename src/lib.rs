//! vgg2rtl: from a trained float VGG to fixed point, a bit-accurate golden model and verified Verilog.
//!
//! The modules stand in the order of the data flow; each stage turns one noun into the next:
//!
//! | module | from | to | may use |
//! |---|---|---|---|
//! | [`arith`] | - | the arithmetic contract: the only place that rounds | - |
//! | [`error`], [`interrupt`], [`output`], [`shell`] | - | errors, signals, where results go, commands to copy | - |
//! | [`config`], [`net`], [`store`] | - | design points, network geometry, model files | `arith` |
//! | [`isa`] | - | layer commands, registers, error codes: what host and accelerator share | - |
//! | [`float`] | model files, images | [`float::FloatModel`], data sets | - |
//! | [`autograd`] | operations on tensors | their gradients | - |
//! | [`int`] | [`int::IntModel`] | golden activations and logits | - |
//! | [`quantize`] | `FloatModel` | `IntModel` | `float`, `autograd`, `int` |
//! | [`export`] | `IntModel` | QDQ ONNX | `float`, `int` |
//! | [`hw`] | [`config::ArrayConfig`] | circuits and their Verilog | - |
//! | [`schedule`] | `IntModel`, [`config::ArrayConfig`] | program and memory image | `int` |
//! | [`bundle`] | Verilog, program, trace | a folder that stands alone | `int`, `schedule`, `hw` |
//! | [`cosim`] | Verilog, program | trace of the simulated hardware | `int`, `schedule`, `hw` |
//! | [`explore`] | many design points | area, cycles, traffic, accuracy of each | all but `export`, `bundle` |
//!
//! Every module may use the first four rows. `tests/layering` enforces the table.

pub mod arith;
pub mod error;
pub mod interrupt;
pub mod output;
pub mod shell;

pub mod config;
pub mod isa;
pub mod net;
pub mod store;

pub mod autograd;
pub mod export;
pub mod float;
pub mod int;
pub mod quantize;
pub mod schedule;

pub mod bundle;
pub mod cosim;
pub mod explore;
pub mod hw;

pub use error::{Error, Result};
