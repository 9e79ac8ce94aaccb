//! How the values of a chain stand in memory.

use crate::float::import::layout::Order;
use crate::net::Shape;

/// Dimensions of the usual maps,
pub const CHANNELS_FIRST: Order = [0, 1, 2];
/// and of TensorFlow's.
pub const CHANNELS_LAST: Order = [1, 2, 0];

/// How a value's dimensions stand behind the batch dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// Four dimensions, the map's three in this order.
    Map(Order),
    /// Two dimensions, the second is the map flattened in this order.
    Flat(Order),
}

/// A value between two nodes.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// Its shape, for one image.
    pub shape: Shape,
    /// Its dimensions.
    pub form: Form,
    /// Images in a batch where the file fixes it.
    pub batch: Option<i64>,
}
