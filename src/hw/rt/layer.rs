//! The fields of a layer as one port.

use super::ty::u;
use super::{Sig, Ty};
use crate::config::Bounds;
use crate::isa::{FIELDS, Field, Layer};
use rust_hdl::prelude::*;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// The values of a [`LayerPort`] at one moment: shared, cheap to clone; changing them copies them first.
#[derive(Clone, Debug)]
pub struct Fields(Arc<Layer<i64>>);

impl Fields {
    /// Fields of these values.
    pub fn new(layer: Layer<i64>) -> Self {
        Self(Arc::new(layer))
    }

    fn is_same(&self, other: &Fields) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for Fields {
    type Target = Layer<i64>;
    fn deref(&self) -> &Layer<i64> {
        &self.0
    }
}

impl DerefMut for Fields {
    fn deref_mut(&mut self) -> &mut Layer<i64> {
        Arc::make_mut(&mut self.0)
    }
}

/// A port for all fields of [`crate::isa::Layer`]. Kernels hand it on as a whole (`a.layer_i.next = b.layer_o.val()`) and
/// read single fields (`self.layer_i.units.val()`). In Verilog each field is a port, `layer_units_i`; of an input those
/// that its module or a child reads, at the width that they read.
pub struct LayerPort<D: Direction> {
    /// The values to take.
    pub next: Fields,
    val: Fields,
    fields: Layer<Sig<D>>,
    changed: bool,
}

/// Bits of `kernel` in a command that has been checked.
const KERNEL_BITS: u32 = 2;

impl<D: Direction> LayerPort<D> {
    /// Fields of the types that `ty` gives them, zero at first.
    fn with(ty: impl Fn(&Field) -> Ty) -> Self {
        let zero = Fields::new(Layer::new(|_| 0));
        let fields = Layer::new(|field| Sig::new(ty(field)));
        Self { next: zero.clone(), val: zero, fields, changed: false }
    }

    /// The fields of a command as it stands in memory.
    pub fn raw() -> Self {
        Self::with(|field| u(field.bits))
    }

    /// The fields of a layer that has been checked, for a block that hands them on.
    pub fn new() -> Self {
        Self::of(&Bounds::WIDEST)
    }

    /// The fields of a layer that has been checked, on a build of these bounds.
    pub fn of(bounds: &Bounds) -> Self {
        Self::narrow(bounds, &[])
    }

    /// The same, with other types for some fields, by name: the low bits are all that is wanted.
    pub fn narrow(bounds: &Bounds, types: &[(&str, Ty)]) -> Self {
        Self::with(|field| match types.iter().find(|(name, _)| *name == field.name) {
            Some((_, ty)) => *ty,
            None if field.name == "kernel" => u(KERNEL_BITS),
            None => u(bounds.bits(field.name).unwrap_or(field.bits)),
        })
    }
}

impl<D: Direction> Default for LayerPort<D> {
    fn default() -> Self {
        Self::new()
    }
}

impl LayerPort<In> {
    /// The values of this pass.
    pub fn val(&self) -> Fields {
        self.val.clone()
    }
}

impl LayerPort<Out> {
    /// The values just written.
    pub fn val(&self) -> Fields {
        self.next.clone()
    }
}

impl<D: Direction> Deref for LayerPort<D> {
    type Target = Layer<Sig<D>>;
    fn deref(&self) -> &Layer<Sig<D>> {
        &self.fields
    }
}

impl<D: Direction> Logic for LayerPort<D> {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.fields.each_mut().into_iter().for_each(|field| field.connect());
    }
}

impl<D: Direction> Block for LayerPort<D> {
    fn connect_all(&mut self) {}
    #[inline(always)]
    fn update_all(&mut self) {
        self.changed = !self.next.is_same(&self.val);
        if self.changed {
            self.val = self.next.clone();
            for (field, value) in self.fields.each_mut().into_iter().zip(self.val.each()) {
                field.next = *value;
                field.update_all();
            }
        }
    }
    #[inline(always)]
    fn has_changed(&self) -> bool {
        self.changed
    }
    fn accept(&self, name: &str, probe: &mut dyn Probe) {
        probe.visit_start_namespace(name, self);
        FIELDS.iter().zip(self.fields.each()).for_each(|(field, signal)| signal.accept(field.name, probe));
        probe.visit_end_namespace(name, self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_follow_the_port_and_wrap() {
        let mut port: LayerPort<In> = LayerPort::narrow(&Bounds::WIDEST, &[("patch", u(4))]);
        (port.next.patch, port.next.units) = (0x12, 7);
        port.update_all();
        assert_eq!(
            (port.has_changed(), port.patch.val(), port.units.val(), port.kernel.bits()),
            (true, 2, 7, 2)
        );
        assert_eq!(port.val().patch, 0x12);
        port.update_all();
        assert!(!port.has_changed());
    }
}
