//! A signal of run-time width.

use super::ty::{Ty, traced};
use rust_hdl::core::signal::get_signal_id;
use rust_hdl::prelude::*;
use std::marker::PhantomData;

/// An integer port or local signal; kernels write `next` and read `val()` as plain `i64`.
#[derive(Clone, Debug)]
pub struct Sig<D: Direction> {
    /// The value to take, wrapped to the type when it is taken.
    pub next: i64,
    val: i64,
    ty: Ty,
    changed: bool,
    driven: bool,
    id: usize,
    direction: PhantomData<D>,
}

impl<D: Direction> Sig<D> {
    /// A signal of type `ty`, zero at first.
    ///
    /// # Panics
    /// If `ty` has no bit or more than 64: widths are validated before a circuit is built.
    pub fn new(ty: Ty) -> Self {
        assert!((1..=64).contains(&ty.bits), "a signal has 1 to 64 bits, not {}", ty.bits);
        let id = get_signal_id();
        Self { next: 0, val: 0, ty, changed: false, driven: false, id, direction: PhantomData }
    }

    /// Width and sign.
    pub fn ty(&self) -> Ty {
        self.ty
    }
}

impl Sig<In> {
    /// The value of this pass.
    #[inline(always)]
    pub fn val(&self) -> i64 {
        self.val
    }
}

impl Sig<Out> {
    /// The value just written, wrapped.
    #[inline(always)]
    pub fn val(&self) -> i64 {
        self.ty.wrap(self.next)
    }
}

impl Sig<Local> {
    /// The value just written, wrapped.
    #[inline(always)]
    pub fn val(&self) -> i64 {
        self.ty.wrap(self.next)
    }
}

impl<D: Direction> Atom for Sig<D> {
    fn bits(&self) -> usize {
        self.ty.bits as usize
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
        self.ty.descriptor()
    }
    fn vcd(&self) -> VCDValue {
        traced(self.ty.bits_of(self.val))
    }
    fn id(&self) -> usize {
        self.id
    }
    fn verilog(&self) -> VerilogLiteral {
        ((self.val as u64) & (u64::MAX >> (64 - self.ty.bits))).into()
    }
    fn constraints(&self) -> Vec<PinConstraint> {
        vec![]
    }
}

impl<D: Direction> Logic for Sig<D> {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.driven = true;
    }
}

impl<D: Direction> Block for Sig<D> {
    fn connect_all(&mut self) {}
    #[inline(always)]
    fn update_all(&mut self) {
        self.next = self.ty.wrap(self.next);
        self.changed = self.next != self.val;
        self.val = self.next;
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
    use crate::hw::rt::{s, u};

    #[test]
    fn takes_the_wrapped_value_and_reports_the_change_once() {
        let mut x: Sig<In> = Sig::new(s(4));
        x.next = 9;
        x.update_all();
        assert_eq!((x.val(), x.has_changed()), (-7, true));
        x.update_all();
        assert!(!x.has_changed());
    }

    #[test]
    fn outputs_and_locals_show_what_was_just_written() {
        let (mut o, mut l): (Sig<Out>, Sig<Local>) = (Sig::new(u(3)), Sig::new(s(3)));
        (o.next, l.next) = (12, 4);
        assert_eq!((o.val(), l.val()), (4, -4));
    }
}
