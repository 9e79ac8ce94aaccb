//! Flip-flops. Kernels name their pins through rust_hdl's `dff_setup!`: `d` defaults to `q`, the value is held.

use super::{Lanes, Sig, Ty};
use rust_hdl::prelude::*;

/// Text by which the emitter knows a flip-flop.
pub(crate) const FLIP_FLOP: &str = "always @(posedge clock) q <= d;";

/// Register of an integer, without reset.
#[derive(LogicBlock, Clone)]
pub struct Reg {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Value to take at the rising edge.
    pub d: Sig<In>,
    /// Value held.
    pub q: Sig<Out>,
}

impl Reg {
    /// A register of type `ty`.
    pub fn new(ty: Ty) -> Self {
        Self { clock: Default::default(), d: Sig::new(ty), q: Sig::new(ty) }
    }
}

/// Register of lanes, without reset.
#[derive(LogicBlock, Clone)]
pub struct LanesReg {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Value to take at the rising edge.
    pub d: Lanes<In>,
    /// Value held.
    pub q: Lanes<Out>,
}

impl LanesReg {
    /// A register of `count` lanes of type `ty`.
    pub fn new(count: usize, ty: Ty) -> Self {
        Self { clock: Default::default(), d: Lanes::new(count, ty), q: Lanes::new(count, ty) }
    }
}

/// Register of a bit or of the state of a machine (`Flop<Bit>`, `Flop<State>`), without reset.
#[derive(LogicBlock, Clone, Default)]
pub struct Flop<T: Synth> {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Value to take at the rising edge.
    pub d: Signal<In, T>,
    /// Value held.
    pub q: Signal<Out, T>,
}

macro_rules! flip_flop {
    ($ty:ty $(, $t:ident)?) => {
        impl$(<$t: Synth>)? Logic for $ty {
            #[inline(always)]
            fn update(&mut self) {
                if self.clock.pos_edge() {
                    self.q.next = self.d.val();
                }
            }
            fn connect(&mut self) {
                self.q.connect();
            }
            fn hdl(&self) -> Verilog {
                Verilog::Custom(FLIP_FLOP.into())
            }
        }
    };
}
flip_flop!(Reg);
flip_flop!(LanesReg);
flip_flop!(Flop<T>, T);
