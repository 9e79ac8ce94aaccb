//! The circuit as plain data.

use super::error::Result;
use crate::hw::rt::FLIP_FLOP;
use rust_hdl::prelude::*;

/// A port, local signal or constant.
#[derive(Clone, Debug)]
pub struct Item {
    /// Name in the kernel, parts joined by `$`.
    pub name: String,
    pub kind: AtomKind,
    pub bits: usize,
    pub signed: bool,
    /// Whether kernels see a `bool`.
    pub is_bool: bool,
    /// Whether it has lanes, and so a range even if there is one bit only.
    pub is_lanes: bool,
    /// Value, of constants.
    pub value: i128,
    /// Names of the states, of state machines.
    pub states: Vec<String>,
}

impl Item {
    pub fn is_port(&self) -> bool {
        self.kind.is_parameter()
    }
    pub fn is_output(&self) -> bool {
        self.kind == AtomKind::OutputParameter
    }
}

/// A block with its children.
#[derive(Clone, Debug)]
pub struct Node {
    pub name: String,
    pub code: Verilog,
    pub items: Vec<Item>,
    pub children: Vec<Node>,
}

impl Node {
    /// Children that are modules of their own.
    pub fn instances(&self) -> impl Iterator<Item = &Node> {
        self.children.iter().filter(|c| !c.is_register())
    }
    /// The same, to be changed.
    pub fn instances_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.children.iter_mut().filter(|c| !c.is_register())
    }
    /// Children that are flip-flops.
    pub fn registers(&self) -> impl Iterator<Item = &Node> {
        self.children.iter().filter(|c| c.is_register())
    }
    fn is_register(&self) -> bool {
        matches!(&self.code, Verilog::Custom(text) if text == FLIP_FLOP)
    }
    pub fn item(&self, name: &str) -> Result<&Item> {
        self.items.iter().find(|i| i.name == name).ok_or_else(|| format!("{}: no port {name}", self.name))
    }
}

/// The tree of `block`, named `name`.
pub fn collect(name: &str, block: &dyn Block) -> Result<Node> {
    let mut collector = Collector::default();
    block.accept(name, &mut collector);
    collector.done.ok_or_else(|| format!("{name} is a signal, not a block"))
}

#[derive(Default)]
struct Collector {
    open: Vec<Node>,
    namespaces: Vec<String>,
    done: Option<Node>,
}

impl Probe for Collector {
    fn visit_start_scope(&mut self, name: &str, node: &dyn Block) {
        self.open.push(Node { name: name.into(), code: node.hdl(), items: vec![], children: vec![] });
    }
    fn visit_start_namespace(&mut self, name: &str, _: &dyn Block) {
        self.namespaces.push(name.into());
    }
    fn visit_end_namespace(&mut self, _: &str, _: &dyn Block) {
        self.namespaces.pop();
    }
    fn visit_atom(&mut self, name: &str, atom: &dyn Atom) {
        let name = self.namespaces.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("$");
        if let Some(node) = self.open.last_mut() {
            node.items.push(item(name, atom));
        }
    }
    fn visit_end_scope(&mut self, _: &str, _: &dyn Block) {
        let Some(node) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(node),
            None => self.done = Some(node),
        }
    }
}

fn item(name: String, atom: &dyn Atom) -> Item {
    let descriptor = atom.descriptor();
    let signed = matches!(descriptor.kind, TypeKind::Signed(_));
    let states = if let TypeKind::Enum(states) = descriptor.kind { states } else { vec![] };
    let is_bool = matches!(descriptor.name.as_str(), "Bit" | "clock");
    let is_lanes = descriptor.name.starts_with("Lanes");
    let value = if atom.kind() == AtomKind::Constant { value(&bits(atom), signed) } else { 0 };
    Item { name, kind: atom.kind(), bits: atom.bits(), signed, is_bool, is_lanes, value, states }
}

/// The bits that `atom` holds, most significant first.
pub fn bits(atom: &dyn Atom) -> Vec<bool> {
    let one = match VCDValue::from(true) {
        VCDValue::Single(one) => one,
        _ => return vec![],
    };
    match atom.vcd() {
        VCDValue::Single(bit) => vec![bit == one],
        VCDValue::Vector(bits) => bits.into_iter().map(|b| b == one).collect(),
        _ => vec![],
    }
}

fn value(bits: &[bool], signed: bool) -> i128 {
    let magnitude = bits.iter().fold(0i128, |v, &b| v << 1 | b as i128);
    if signed && bits[0] { magnitude - (1 << bits.len()) } else { magnitude }
}
