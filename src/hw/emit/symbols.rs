//! Identifiers, widths and signs of one module.

use super::Result;
use super::collect::{Item, Node};
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
}

/// Symbols by their names in the kernel.
pub struct Symbols {
    map: HashMap<String, Symbol>,
}

impl Symbols {
    /// The symbols of `node`: its own signals, its registers, the ports of its children, states of its machines.
    ///
    /// # Errors
    /// If two signals would get one identifier, or one would be a Verilog keyword.
    pub fn new(node: &Node) -> Result<Self> {
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
        Ok(symbols)
    }

    fn add(&mut self, name: &str, id: String, item: &Item) {
        let value = (item.kind == AtomKind::Constant).then_some(item.value);
        let Item { bits, signed, is_bool, .. } = *item;
        self.map.insert(name.into(), Symbol { id, bits, signed, is_bool, value });
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
                let value = Some(value as i128);
                let symbol = Symbol { id, bits: item.bits, signed: false, is_bool: false, value };
                self.map.insert(state.replace("::", "$"), symbol);
            }
        }
    }

    fn check(&self) -> Result<()> {
        let mut seen = HashSet::new();
        for symbol in self.map.values() {
            if KEYWORDS.contains(&symbol.id.as_str()) {
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

/// `a$b` → `a_b`.
pub fn identifier(name: &str) -> String {
    name.replace('$', "_")
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

const KEYWORDS: &[&str] = &[
    "always",
    "and",
    "assign",
    "automatic",
    "begin",
    "buf",
    "case",
    "casex",
    "casez",
    "cell",
    "config",
    "deassign",
    "default",
    "defparam",
    "design",
    "disable",
    "edge",
    "else",
    "end",
    "endcase",
    "endconfig",
    "endfunction",
    "endgenerate",
    "endmodule",
    "endprimitive",
    "endspecify",
    "endtable",
    "endtask",
    "event",
    "for",
    "force",
    "forever",
    "fork",
    "function",
    "generate",
    "genvar",
    "if",
    "ifnone",
    "include",
    "initial",
    "inout",
    "input",
    "instance",
    "integer",
    "join",
    "large",
    "liblist",
    "library",
    "localparam",
    "macromodule",
    "medium",
    "module",
    "nand",
    "negedge",
    "nor",
    "not",
    "or",
    "output",
    "parameter",
    "posedge",
    "primitive",
    "pull0",
    "pull1",
    "real",
    "realtime",
    "reg",
    "release",
    "repeat",
    "scalared",
    "signed",
    "small",
    "specify",
    "strength",
    "strong0",
    "strong1",
    "supply0",
    "supply1",
    "table",
    "task",
    "time",
    "tri",
    "triand",
    "trior",
    "unsigned",
    "use",
    "vectored",
    "wait",
    "wand",
    "weak0",
    "weak1",
    "while",
    "wire",
    "wor",
    "xnor",
    "xor",
    // Reserved by SystemVerilog, which tools may read the files as.
    "bit",
    "byte",
    "do",
    "final",
    "first_match",
    "global",
    "int",
    "interface",
    "logic",
    "packed",
    "priority",
    "program",
    "property",
    "rand",
    "ref",
    "return",
    "sequence",
    "shortint",
    "static",
    "string",
    "struct",
    "super",
    "tagged",
    "this",
    "type",
    "union",
    "unique",
    "var",
    "virtual",
    "void",
    "with",
    "within",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_upper_case() {
        assert_eq!([upper("FetchState_Idle"), upper("last_word")], ["FETCH_STATE_IDLE", "LAST_WORD"]);
    }
}
