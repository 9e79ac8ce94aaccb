//! A constant of run-time value: a `localparam`.

use super::ty::{Ty, traced};
use rust_hdl::core::signal::get_signal_id;
use rust_hdl::prelude::*;

/// A named integer that kernels read with `val()`.
#[derive(Clone, Debug)]
pub struct K {
    value: i64,
    ty: Ty,
    id: usize,
}

impl K {
    /// The constant `value` of type `ty`.
    ///
    /// # Panics
    /// If `value` is not in the range of `ty`.
    pub fn new(ty: Ty, value: i64) -> Self {
        assert_eq!(ty.wrap(value), value, "constant {value} does not fit {ty:?}");
        Self { value, ty, id: get_signal_id() }
    }

    /// The value.
    #[inline(always)]
    pub fn val(&self) -> i64 {
        self.value
    }
}

impl Atom for K {
    fn bits(&self) -> usize {
        self.ty.bits as usize
    }
    fn connected(&self) -> bool {
        true
    }
    fn changed(&self) -> bool {
        false
    }
    fn kind(&self) -> AtomKind {
        AtomKind::Constant
    }
    fn descriptor(&self) -> TypeDescriptor {
        self.ty.descriptor()
    }
    fn vcd(&self) -> VCDValue {
        traced(self.ty.bits_of(self.value))
    }
    fn id(&self) -> usize {
        self.id
    }
    fn verilog(&self) -> VerilogLiteral {
        ((self.value as u64) & (u64::MAX >> (64 - self.ty.bits))).into()
    }
    fn constraints(&self) -> Vec<PinConstraint> {
        vec![]
    }
}

impl Logic for K {
    fn update(&mut self) {}
}

impl Block for K {
    fn connect_all(&mut self) {}
    fn update_all(&mut self) {}
    fn has_changed(&self) -> bool {
        false
    }
    fn accept(&self, name: &str, probe: &mut dyn Probe) {
        probe.visit_atom(name, self)
    }
}
