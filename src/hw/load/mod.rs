//! What to read when: activations and weights into the buffers of the compute core.

mod act_loader;
mod act_unpack;
mod act_walk;
mod fold;
mod fold_planes;
mod one_hot;
#[cfg(test)]
pub(crate) mod reader;
mod record;
mod row;
mod step_gap;
mod weight_loader;
mod weight_walk;

pub use act_loader::ActLoader;
pub use act_unpack::ActUnpack;
pub use act_walk::ActWalk;
pub use fold::Fold;
pub use fold_planes::FoldPlanes;
pub use one_hot::OneHot;
pub use record::Record;
pub use step_gap::StepGap;
pub use weight_loader::WeightLoader;
pub use weight_walk::WeightWalk;
