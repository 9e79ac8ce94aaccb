//! A vector of integers as one port: lanes in Rust, one flat vector in Verilog.

use super::ty::{Ty, traced};
use rust_hdl::core::signal::get_signal_id;
use rust_hdl::prelude::*;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

/// The values of a [`Lanes`] at one moment: shared, immutable, cheap to clone; derefs to a slice.
#[derive(Clone, Debug)]
pub struct Bus(Arc<[i64]>);

impl Bus {
    fn is_same(&self, other: &Bus) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for Bus {
    type Target = [i64];
    fn deref(&self) -> &[i64] {
        &self.0
    }
}

impl PartialEq for Bus {
    fn eq(&self, other: &Bus) -> bool {
        self.is_same(other) || self.0 == other.0
    }
}

/// A port or local signal of several lanes of one type, lane 0 in the lowest bits. Kernels wire and register it as
/// a whole (`a.next = b.val()`); blocks with a hand-written `update` read `val()[i]` and write with [`Lanes::set`]
/// or [`Lanes::drive`].
#[derive(Clone, Debug)]
pub struct Lanes<D: Direction> {
    /// The values to take; of the same number of lanes, each in the range of the type.
    pub next: Bus,
    val: Bus,
    ty: Ty,
    changed: bool,
    driven: bool,
    id: usize,
    direction: PhantomData<D>,
}

impl<D: Direction> Lanes<D> {
    /// `count` lanes of type `ty`, zero at first.
    ///
    /// # Panics
    /// If there is no lane, or a lane has no bit or more than 63.
    pub fn new(count: usize, ty: Ty) -> Self {
        assert!(count > 0 && (1..=63).contains(&ty.bits), "{count} lanes of {ty:?}");
        let zero = Bus(vec![0; count].into());
        let id = get_signal_id();
        Self { next: zero.clone(), val: zero, ty, changed: false, driven: false, id, direction: PhantomData }
    }

    /// Width and sign of a lane.
    pub fn ty(&self) -> Ty {
        self.ty
    }

    /// Number of lanes.
    pub fn count(&self) -> usize {
        self.val.len()
    }

    /// Writes lane `i`, wrapped. Costs a copy of all lanes if the value changes: to write many, use [`Lanes::drive`].
    pub fn set(&mut self, i: usize, value: i64) {
        let value = self.ty.wrap(value);
        if self.next[i] != value {
            let mut lanes = self.next.to_vec();
            lanes[i] = value;
            self.next = Bus(lanes.into());
        }
    }

    /// Writes every lane with `value(i)`, wrapped; allocates only if a lane changes.
    pub fn drive(&mut self, value: impl Fn(usize) -> i64) {
        let ty = self.ty;
        if self.next.iter().enumerate().any(|(i, &old)| ty.wrap(value(i)) != old) {
            self.next = Bus((0..self.next.len()).map(|i| ty.wrap(value(i))).collect());
        }
    }
}

impl Lanes<In> {
    /// The values of this pass.
    #[inline(always)]
    pub fn val(&self) -> Bus {
        self.val.clone()
    }

    /// The values of this pass, borrowed.
    #[inline(always)]
    pub fn lanes(&self) -> &[i64] {
        &self.val
    }
}

impl Lanes<Out> {
    /// The values just written.
    #[inline(always)]
    pub fn val(&self) -> Bus {
        self.next.clone()
    }
}

impl Lanes<Local> {
    /// The values just written.
    #[inline(always)]
    pub fn val(&self) -> Bus {
        self.next.clone()
    }
}

impl<D: Direction> Atom for Lanes<D> {
    fn bits(&self) -> usize {
        self.val.len() * self.ty.bits as usize
    }
    fn connected(&self) -> bool {
        self.driven
    }
    fn changed(&self) -> bool {
        self.changed
    }
    fn kind(&self) -> AtomKind {
        D::KIND
    }
    fn descriptor(&self) -> TypeDescriptor {
        let bits = self.bits();
        TypeDescriptor {
            name: format!("Lanes::<{}, {}>", self.count(), self.ty.bits),
            kind: TypeKind::Bits(bits),
        }
    }
    fn vcd(&self) -> VCDValue {
        traced(self.val.iter().rev().flat_map(|&x| self.ty.bits_of(x)))
    }
    fn id(&self) -> usize {
        self.id
    }
    /// Not used: a bus may be wider than any literal of rust_hdl.
    fn verilog(&self) -> VerilogLiteral {
        0u64.into()
    }
    fn constraints(&self) -> Vec<PinConstraint> {
        vec![]
    }
}

impl<D: Direction> Logic for Lanes<D> {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.driven = true;
    }
}

impl<D: Direction> Block for Lanes<D> {
    fn connect_all(&mut self) {}
    #[inline(always)]
    fn update_all(&mut self) {
        self.changed = self.next != self.val;
        if self.changed {
            debug_assert_eq!(self.next.len(), self.val.len(), "lanes wired to another number of lanes");
            debug_assert!(self.next.iter().all(|&x| self.ty.wrap(x) == x), "lanes wired to another type");
            self.val = self.next.clone();
        }
    }
    #[inline(always)]
    fn has_changed(&self) -> bool {
        self.changed
    }
    fn accept(&self, name: &str, probe: &mut dyn Probe) {
        probe.visit_atom(name, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::rt::s;

    #[test]
    fn unchanged_lanes_keep_their_storage() {
        let mut x: Lanes<Out> = Lanes::new(3, s(4));
        let before = x.val();
        x.drive(|_| 16);
        assert!(x.val().is_same(&before));
        x.drive(|i| i as i64 - 9);
        assert_eq!(&*x.val(), &[7, -8, -7]);
        x.set(1, 5);
        assert_eq!(&*x.val(), &[7, 5, -7]);
    }

    #[test]
    fn lane_0_is_in_the_lowest_bits() {
        let mut x: Lanes<In> = Lanes::new(2, s(2));
        x.drive(|i| [1, -1][i]);
        x.update_all();
        let bits = [true, true, false, true].into_iter();
        assert_eq!((x.has_changed(), x.bits(), x.vcd()), (true, 4, traced(bits)));
    }
}
