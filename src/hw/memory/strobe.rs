//! Write strobes.

use crate::hw::rt::{Lanes, text, u};
use rust_hdl::prelude::*;

/// All bytes of a word of the bus are written: constant ones.
#[derive(LogicBlock)]
pub struct Strobe {
    /// One lane a byte.
    pub strobe_o: Lanes<Out>,
}

impl Strobe {
    /// For words of `bytes`.
    pub fn new(bytes: usize) -> Self {
        Self { strobe_o: Lanes::new(bytes, u(1)) }
    }
}

impl Logic for Strobe {
    fn update(&mut self) {
        self.strobe_o.drive(|_| 1);
    }
    fn connect(&mut self) {
        self.strobe_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let bytes = self.strobe_o.count();
        text(format!("// module strobe: all bytes of a word\nassign strobe_o = {{{bytes}{{1'b1}}}};\n"))
    }
}
