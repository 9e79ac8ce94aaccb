//! The tape: values in the order of their computation, and the reverse walk that collects gradients.

use super::buffers::Buffers;
use super::real::{Real, Tensor};
use ndarray::{ArrayD, ArrayViewD, Dimension, IxDyn};

/// A value's place on its tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Var(usize);

/// Receives the gradient of the operation's output and hands its inputs their share.
type Backward<T> = Box<dyn FnOnce(&mut Tape<T>, ArrayD<T>)>;

struct Node<T> {
    value: Tensor<T>,
    gradient: Option<ArrayD<T>>,
    differentiable: bool,
    backward: Option<Backward<T>>,
}

/// Records operations as they run. One tape serves many steps: [`Tape::clear`] keeps its memory for the next.
///
/// ```
/// use vgg2rtl::autograd::Tape;
/// let mut tape = Tape::<f32>::default();
/// let x = tape.parameter(ndarray::arr1(&[-1.0, 2.0]).into_dyn().into_shared());
/// let y = tape.relu(x);
/// tape.backward_from(y, ndarray::arr1(&[10.0, 10.0]).into_dyn());
/// assert_eq!(tape.gradient(x).unwrap().as_slice().unwrap(), [0.0, 10.0]);
/// ```
pub struct Tape<T> {
    nodes: Vec<Node<T>>,
    buffers: Buffers<T>,
}

impl<T: Real> Default for Tape<T> {
    fn default() -> Self {
        Self { nodes: vec![], buffers: Buffers::default() }
    }
}

impl<T: Real> Tape<T> {
    /// Puts a value on the tape that needs no gradient, such as an image.
    pub fn constant(&mut self, value: Tensor<T>) -> Var {
        self.leaf(value, false)
    }

    /// Puts a value on the tape whose gradient [`Tape::backward`] collects.
    pub fn parameter(&mut self, value: Tensor<T>) -> Var {
        self.leaf(value, true)
    }

    fn leaf(&mut self, value: Tensor<T>, differentiable: bool) -> Var {
        assert!(value.is_standard_layout(), "values are row-major");
        self.nodes.push(Node { value, gradient: None, differentiable, backward: None });
        Var(self.nodes.len() - 1)
    }

    /// Records an operation: its output, its inputs, and how the output's gradient reaches them.
    ///
    /// `backward` is dropped at once when no input needs a gradient. It finds the forward values with
    /// [`Tape::value`], including the operation's own output, and gives gradients with [`Tape::accumulate`].
    pub fn push(
        &mut self,
        value: ArrayD<T>,
        inputs: &[Var],
        backward: impl FnOnce(&mut Tape<T>, Var, ArrayD<T>) + 'static,
    ) -> Var {
        let differentiable = inputs.iter().any(|&x| self.is_differentiable(x));
        let out = Var(self.nodes.len());
        let backward: Option<Backward<T>> =
            if differentiable { Some(Box::new(move |tape, g| backward(tape, out, g))) } else { None };
        self.nodes.push(Node { value: value.into_shared(), gradient: None, differentiable, backward });
        out
    }

    /// Whether a gradient reaches `x`.
    pub fn is_differentiable(&self, x: Var) -> bool {
        self.nodes[x.0].differentiable
    }

    /// The value of `x`.
    pub fn value(&self, x: Var) -> &Tensor<T> {
        &self.nodes[x.0].value
    }

    /// The shape of `x`.
    pub fn shape(&self, x: Var) -> &[usize] {
        self.nodes[x.0].value.shape()
    }

    /// The elements of `x` in row-major order.
    pub fn slice(&self, x: Var) -> &[T] {
        self.nodes[x.0].value.as_slice().expect("values are row-major")
    }

    /// The gradient of a parameter after [`Tape::backward`]; `None` where none arrived.
    pub fn gradient(&self, x: Var) -> Option<ArrayViewD<'_, T>> {
        self.nodes[x.0].gradient.as_ref().map(|g| g.view())
    }

    /// As [`Tape::gradient`], and leaves none behind.
    pub fn take_gradient(&mut self, x: Var) -> Option<ArrayD<T>> {
        self.nodes[x.0].gradient.take()
    }

    /// An array of `shape` whose contents are unspecified, from memory of earlier steps where possible.
    pub fn scratch(&mut self, shape: &[usize]) -> ArrayD<T> {
        let elements = self.buffers.take(shape.iter().product());
        ArrayD::from_shape_vec(IxDyn(shape), elements).expect("the product of the shape")
    }

    /// As [`Tape::scratch`], in the shape of `x`.
    pub fn scratch_like(&mut self, x: Var) -> ArrayD<T> {
        let shape = self.value(x).raw_dim();
        self.scratch(shape.slice())
    }

    /// As [`Tape::scratch`], filled with zeros.
    pub fn zeros(&mut self, shape: &[usize]) -> ArrayD<T> {
        let mut zeros = self.scratch(shape);
        zeros.fill(T::zero());
        zeros
    }

    /// Leaves the memory of `array` to a later [`Tape::scratch`].
    pub fn recycle(&mut self, array: ArrayD<T>) {
        self.buffers.give(array.into_raw_vec_and_offset().0);
    }

    /// Adds `gradient` to what has reached `x`.
    pub fn accumulate(&mut self, x: Var, gradient: ArrayD<T>) {
        assert_eq!(gradient.shape(), self.shape(x), "a gradient has the shape of its value");
        let node = &mut self.nodes[x.0];
        match &mut node.gradient {
            _ if !node.differentiable => self.recycle(gradient),
            Some(sum) => {
                *sum += &gradient;
                self.recycle(gradient);
            }
            none => *none = Some(gradient),
        }
    }

    /// Gradients of the scalar `loss` with respect to every parameter.
    pub fn backward(&mut self, loss: Var) {
        assert_eq!(self.value(loss).len(), 1, "a loss is one number");
        let one = ArrayD::from_elem(self.value(loss).raw_dim(), T::one());
        self.backward_from(loss, one);
    }

    /// As [`Tape::backward`], starting from `gradient` at `out`.
    ///
    /// Values of intermediate results are given back on the way, so that memory falls as gradients appear.
    pub fn backward_from(&mut self, out: Var, gradient: ArrayD<T>) {
        self.accumulate(out, gradient);
        for i in (0..=out.0).rev() {
            let Some(backward) = self.nodes[i].backward.take() else { continue };
            if let Some(gradient) = self.nodes[i].gradient.take() {
                backward(self, gradient);
            }
            if i != out.0 {
                self.release(i);
            }
        }
    }

    /// Ends a step: forgets all values, keeping as much memory for the next step as this one took.
    pub fn clear(&mut self) {
        for i in 0..self.nodes.len() {
            self.release(i);
            if let Some(gradient) = self.nodes[i].gradient.take() {
                self.recycle(gradient);
            }
        }
        self.nodes.clear();
        self.buffers.trim();
    }

    fn release(&mut self, i: usize) {
        let empty = Tensor::from_shape_vec(IxDyn(&[0]), vec![]).expect("no elements");
        let value = std::mem::replace(&mut self.nodes[i].value, empty);
        if let Ok(unshared) = value.try_into_owned_nocopy() {
            self.recycle(unshared);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr1;

    #[test]
    fn gradients_of_a_value_used_twice_add() {
        let mut tape = Tape::<f64>::default();
        let x = tape.parameter(arr1(&[3.0]).into_dyn().into_shared());
        let y = tape.mul(x, x);
        tape.backward(y);
        assert_eq!(tape.gradient(x).unwrap()[[0]], 6.0);
    }

    #[test]
    fn constants_get_no_gradient() {
        let mut tape = Tape::<f64>::default();
        let c = tape.constant(arr1(&[3.0]).into_dyn().into_shared());
        let x = tape.parameter(arr1(&[2.0]).into_dyn().into_shared());
        let y = tape.mul(c, x);
        tape.backward(y);
        assert!(tape.gradient(c).is_none());
        assert_eq!(tape.gradient(x).unwrap()[[0]], 3.0);
    }

    #[test]
    fn memory_is_reused() {
        let mut tape = Tape::<f32>::default();
        let mut step = || {
            let x = tape.parameter(ArrayD::ones(IxDyn(&[100])).into_shared());
            let y = tape.relu(x);
            let address = tape.slice(y).as_ptr();
            tape.clear();
            address
        };
        // The parameter's own memory may take the place of the value's, so the third step meets an earlier one's.
        let seen = [step(), step(), step()];
        assert!(seen[2] == seen[0] || seen[2] == seen[1] || seen[1] == seen[0]);
    }
}
