//! A register that holds an address of external memory.

use crate::config::PAGE_BITS;
use crate::hw::rt::{Sig, text, u};
use rust_hdl::prelude::*;

/// An address of 32 to 64 bits in one or two words: the host writes and reads all of its bits, the accelerator uses its
/// page. Bits that an address does not have read 0.
#[derive(LogicBlock)]
pub struct BaseRegister {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low: the address becomes 0.
    pub rst_ni: Signal<In, Bit>,
    /// The low word is written.
    pub write_lo_i: Signal<In, Bit>,
    /// The high word is written.
    pub write_hi_i: Signal<In, Bit>,
    /// With this.
    pub data_i: Sig<In>,
    /// Low word.
    pub lo_o: Sig<Out>,
    /// High word.
    pub hi_o: Sig<Out>,
    /// The address in pages of 4096 bytes.
    pub page_o: Sig<Out>,
    /// The address is no multiple of a page.
    pub misaligned_o: Signal<Out, Bit>,
    _base: u64,
}

impl BaseRegister {
    /// For addresses of `address_bits`.
    pub fn new(address_bits: u32) -> Self {
        let word = u(32);
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            write_lo_i: Default::default(),
            write_hi_i: Default::default(),
            data_i: Sig::new(word),
            lo_o: Sig::new(word),
            hi_o: Sig::new(word),
            page_o: Sig::new(u(address_bits - PAGE_BITS)),
            misaligned_o: Default::default(),
            _base: 0,
        }
    }

    fn address_bits(&self) -> u32 {
        self.page_o.ty().bits + PAGE_BITS
    }

    fn edge(&mut self) {
        let data = self.data_i.val() as u64;
        if self.write_lo_i.val() {
            self._base = self._base >> 32 << 32 | data;
        }
        if self.write_hi_i.val() {
            self._base = self._base & 0xffff_ffff | data << 32;
        }
        self._base &= u64::MAX >> (64 - self.address_bits());
        if !self.rst_ni.val() {
            self._base = 0;
        }
    }
}

impl Logic for BaseRegister {
    fn update(&mut self) {
        if self.clk_i.pos_edge() {
            self.edge();
        }
        self.lo_o.next = (self._base & 0xffff_ffff) as i64;
        self.hi_o.next = (self._base >> 32) as i64;
        self.page_o.next = (self._base >> PAGE_BITS) as i64;
        self.misaligned_o.next = !self._base.is_multiple_of(1 << PAGE_BITS);
    }
    fn connect(&mut self) {
        self.lo_o.connect();
        self.hi_o.connect();
        self.page_o.connect();
        self.misaligned_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let bits = self.address_bits();
        let (top, page, high) = (bits - 1, PAGE_BITS, bits - 32);
        let (write, read) = match high {
            0 => (String::new(), "32'd0".into()),
            _ => (
                format!("    if (write_hi_i) base[{top}:32] <= data_i[{}:0];\n", high - 1),
                if high == 32 {
                    "base[63:32]".into()
                } else {
                    format!("{{{}'d0, base[{top}:32]}}", 32 - high)
                },
            ),
        };
        let unused = if high == 0 { "wire high_unused = write_hi_i;\n" } else { "" };
        text(format!(
            "// module base_register: an address of external memory
reg [{top}:0] base;
{unused}
always @(posedge clk_i) begin
    if (write_lo_i) base[31:0] <= data_i;
{write}    if (!rst_ni) base <= {bits}'d0;
end

assign lo_o = base[31:0];
assign hi_o = {read};
assign page_o = base[{top}:{page}];
assign misaligned_o = |base[{}:0];
",
            page - 1
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use rand::Rng;

    #[test]
    fn every_bit_of_an_address_is_kept_and_no_other() {
        for bits in [32, 33, 40, 63, 64] {
            let mut rng = random(bits);
            let mut bench = Bench::new(BaseRegister::new(bits as u32), |b| &mut b.clk_i);
            let mut want = 0u64;
            for t in 0..200 {
                let (lo, hi, running) = (rng.random_bool(0.3), rng.random_bool(0.3), t > 0 && t != 150);
                let data: u32 = if rng.random_bool(0.5) { rng.random() } else { rng.random::<u32>() << 12 };
                let b = &mut bench.block;
                (b.write_lo_i.next, b.write_hi_i.next, b.rst_ni.next) = (lo, hi, running);
                b.data_i.next = data.into();
                bench.cycle();
                let [mut low, mut high] = [want as u32, (want >> 32) as u32];
                low = if lo { data } else { low };
                high = if hi { data } else { high };
                want = if running {
                    (u64::from(high) << 32 | u64::from(low)) & (u64::MAX >> (64 - bits))
                } else {
                    0
                };
                let b = &bench.block;
                let got = [b.lo_o.val() as u64, b.hi_o.val() as u64, b.page_o.val() as u64];
                assert_eq!(got, [want & 0xffff_ffff, want >> 32, want / 4096], "{bits} bits");
                assert_eq!(b.misaligned_o.val(), !want.is_multiple_of(4096));
            }
            bench.verilog("base_register", 1);
        }
    }
}
