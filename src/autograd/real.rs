//! The numbers that a tape computes with, and tensors of them.

use ndarray::{ArcArray, IxDyn, NdFloat};
use std::iter::Sum;

/// A value on a tape, shared without copying: row-major, shapes as in [`super`].
pub type Tensor<T> = ArcArray<T, IxDyn>;

/// `f32` to train, `f64` to check gradients and to evaluate exactly.
pub trait Real: NdFloat + Sum + Default {
    /// The nearest number of this type.
    fn of(x: f64) -> Self;
    /// This number, exactly.
    fn wide(self) -> f64;
    /// The nearest `f32`.
    fn narrow(self) -> f32;
    /// A tensor of parameters in this type, without copying where the type is `f32`.
    fn tensor(x: &Tensor<f32>) -> Tensor<Self>;
}

impl Real for f32 {
    fn of(x: f64) -> Self {
        x as f32
    }
    fn wide(self) -> f64 {
        self.into()
    }
    fn narrow(self) -> f32 {
        self
    }
    fn tensor(x: &Tensor<f32>) -> Tensor<Self> {
        x.clone()
    }
}

impl Real for f64 {
    fn of(x: f64) -> Self {
        x
    }
    fn wide(self) -> f64 {
        self
    }
    fn narrow(self) -> f32 {
        self as f32
    }
    fn tensor(x: &Tensor<f32>) -> Tensor<Self> {
        x.mapv(f64::from).into_shared()
    }
}
