//! What to read when: activations and weights into the buffers of the compute core.

mod act_unpack;
mod act_walk;
mod fold;
mod one_hot;
mod queue;
mod row;
mod weight_walk;

pub use act_unpack::ActUnpack;
pub use act_walk::ActWalk;
pub use fold::Fold;
pub use one_hot::OneHot;
pub use queue::Queue;
pub use weight_walk::WeightWalk;
