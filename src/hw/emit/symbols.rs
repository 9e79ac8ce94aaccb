//! Identifiers, widths and signs of one module.

use super::collect::{Item, Node};
use super::error::Result;
use super::ir::Stmt;
use crate::isa;
use rust_hdl::prelude::AtomKind;
use std::collections::{HashMap, HashSet};

/// What the printer knows of a signal.
#[derive(Clone, Debug)]
pub struct Symbol {
    pub id: String,
    pub bits: usize,
    pub signed: bool,
    pub is_bool: bool,
    /// Value, of constants and states.
    pub value: Option<i128>,
    /// Name of the state, `Phase$Idle`.
    pub state: Option<String>,
}

/// Symbols by their names in the kernel.
pub struct Symbols {
    map: HashMap<String, Symbol>,
}

impl Symbols {
    /// The symbols of `node`: its own signals, its registers, the ports of its children, states of its machines, and the
    /// constants of [`isa`] that `body` names.
    ///
    /// # Errors
    /// If two signals would get one identifier, or one would be a Verilog keyword.
    pub fn new(node: &Node, body: &[Stmt]) -> Result<Self> {
        let mut symbols = Symbols { map: HashMap::new() };
        node.items.iter().for_each(|item| symbols.add(&item.name, own_id(item), item));
        for child in node.instances() {
            child.items.iter().filter(|i| i.is_port()).for_each(|port| {
                let name = format!("{}${}", child.name, port.name);
                symbols.add(&name, identifier(&name), port);
            });
        }
        for register in node.registers() {
            symbols.add_register(register)?;
        }
        symbols.check()?;
        symbols.add_states(node);
        body.iter().for_each(|stmt| stmt.each_name(&mut |name| symbols.add_constant(name)));
        Ok(symbols)
    }

    fn add(&mut self, name: &str, id: String, item: &Item) {
        let value = (item.kind == AtomKind::Constant).then_some(item.value);
        let Item { bits, signed, is_bool, .. } = *item;
        self.map.insert(name.into(), Symbol { id, bits, signed, is_bool, value, state: None });
    }

    /// A register is called by its own name; its input, where it needs a name, has `_d` after it.
    fn add_register(&mut self, register: &Node) -> Result<()> {
        let id = identifier(&register.name);
        self.add(&format!("{}$q", register.name), id.clone(), register.item("q")?);
        self.add(&format!("{}$d", register.name), format!("{id}_d"), register.item("d")?);
        self.add(&format!("{}$clock", register.name), format!("{id}_clock"), register.item("clock")?);
        Ok(())
    }

    fn add_states(&mut self, node: &Node) {
        let items = node.items.iter().chain(node.children.iter().flat_map(|c| &c.items));
        for item in items {
            for (value, state) in item.states.iter().enumerate() {
                let id = upper(&identifier(&state.replace("::", "$")));
                let (value, state) = (Some(value as i128), state.replace("::", "$"));
                let (bits, known) = (item.bits, Some(state.clone()));
                self.map
                    .insert(state, Symbol { id, bits, signed: false, is_bool: false, value, state: known });
            }
        }
    }

    fn add_constant(&mut self, name: &str) {
        if let Some((id, bits, value)) = isa::constant(&name.replace('$', "::")) {
            let value = Some(value.into());
            self.map
                .insert(name.into(), Symbol { id, bits, signed: false, is_bool: false, value, state: None });
        }
    }

    fn check(&self) -> Result<()> {
        let mut seen = HashSet::new();
        for symbol in self.map.values() {
            if KEYWORDS.split_whitespace().any(|k| k == symbol.id) {
                return Err(format!("{} is a keyword of Verilog", symbol.id));
            }
            if !seen.insert(&symbol.id) {
                return Err(format!("two signals would be called {}", symbol.id));
            }
        }
        Ok(())
    }

    /// The symbol of `name`.
    pub fn get(&self, name: &str) -> Result<&Symbol> {
        self.map.get(name).ok_or_else(|| format!("unknown signal {}", name.replace('$', ".")))
    }

    /// States, in order of name, with their symbols.
    pub fn constants(&self) -> Vec<&Symbol> {
        let mut all: Vec<_> = self.map.values().filter(|s| s.value.is_some()).collect();
        all.sort_by_key(|s| (s.bits, s.value, &s.id));
        all
    }
}

fn own_id(item: &Item) -> String {
    let id = identifier(&item.name);
    if item.kind == AtomKind::Constant { upper(&id) } else { id }
}

/// `a$b` → `a_b`, and `a_i$b` → `a_b_i`.
pub fn identifier(name: &str) -> String {
    let mut parts: Vec<&str> = name.split('$').collect();
    let last = parts.pop().unwrap_or_default();
    let suffix = ["_i", "_o"].into_iter().find(|s| parts.last().is_some_and(|port| port.ends_with(s)));
    if let (Some(suffix), Some(port)) = (suffix, parts.last_mut()) {
        *port = port.trim_end_matches(suffix);
    }
    parts.push(last);
    parts.join("_") + suffix.unwrap_or_default()
}

/// `FetchState_Idle`, `last_word` → `FETCH_STATE_IDLE`, `LAST_WORD`.
fn upper(id: &str) -> String {
    let mut out = String::new();
    for c in id.chars() {
        let new_word = c.is_uppercase() && out.chars().next_back().is_some_and(|p| p.is_alphanumeric());
        let after_upper = out.len() == 1;
        if new_word && !after_upper {
            out.push('_');
        }
        out.extend(c.to_uppercase());
    }
    out
}

/// Reserved by Verilog-2005 and, because tools may read the files as such, by SystemVerilog.
const KEYWORDS: &str = "
always and assign automatic begin buf bufif0 bufif1 case casex casez cell cmos config deassign default defparam
design disable edge else end endcase endconfig endfunction endgenerate endmodule endprimitive endspecify endtable
endtask event for force forever fork function generate genvar highz0 highz1 if ifnone incdir include initial inout
input instance integer join large liblist library localparam macromodule medium module nand negedge nmos nor
noshowcancelled not notif0 notif1 or output parameter pmos posedge primitive pull0 pull1 pulldown pullup
pulsestyle_ondetect pulsestyle_onevent rcmos real realtime reg release repeat rnmos rpmos rtran rtranif0 rtranif1
scalared showcancelled signed small specify specparam strong0 strong1 supply0 supply1 table task time tran tranif0
tranif1 tri tri0 tri1 triand trior trireg unsigned use uwire vectored wait wand weak0 weak1 while wire wor xnor xor
accept_on alias always_comb always_ff always_latch assert assume before bind bins binsof bit break byte chandle
checker class clocking const constraint context continue cover covergroup coverpoint cross dist do endchecker endclass
endclocking endgroup endinterface endpackage endprogram endproperty endsequence enum eventually expect export extends
extern final first_match foreach forkjoin global iff ignore_bins illegal_bins implements implies import inside int
interconnect interface intersect join_any join_none let local logic longint matches modport nettype new nexttime null
package packed priority program property protected pure rand randc randcase randsequence ref reject_on restrict return
s_always s_eventually s_nexttime s_until s_until_with sequence shortint shortreal soft solve static string strong
struct super sync_accept_on sync_reject_on tagged this throughout timeprecision timeunit type typedef union unique
unique0 until until_with untyped var virtual void wait_order weak wildcard with within
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_s_direction_stands_last() {
        let names = ["layer_i$units", "core$layer_o$units", "pe$3$act_i", "read$q"];
        assert_eq!(names.map(identifier), ["layer_units_i", "core_layer_units_o", "pe_3_act_i", "read_q"]);
    }

    #[test]
    fn constants_are_upper_case() {
        assert_eq!([upper("FetchState_Idle"), upper("last_word")], ["FETCH_STATE_IDLE", "LAST_WORD"]);
    }
}
