//! One module as text.

use super::body::{Assign, assignment, pad, statements};
use super::bundle::{child_ports, flatten, prune};
use super::collect::{Item, Node};
use super::docs::Docs;
use super::error::Result;
use super::expr::{Printer, number, range};
use super::lower::{Kernel, lower, title};
use super::plan::{Plan, plan};
use super::symbols::{Symbols, identifier};
use rust_hdl::prelude::{AtomKind, Verilog};
use std::collections::{HashMap, HashSet};

/// A module without its name.
pub struct Printed {
    /// The name it asks for.
    pub name: String,
    /// What it is.
    pub doc: String,
    /// Everything after the name.
    pub rest: String,
}

/// Prints `node`, whose children are the modules `children` (child → module). Inputs that it does not read are taken
/// from it.
///
/// # Errors
/// Named with the module.
pub fn print(node: &mut Node, children: &HashMap<String, String>) -> Result<Printed> {
    let printed = match &node.code {
        Verilog::Combinatorial(block) => lower(block).and_then(|kernel| print_kernel(node, kernel, children)),
        Verilog::Wrapper(wrapper) => print_text(node, &wrapper.code, children),
        _ => Err("neither a kernel nor a wrapper".into()),
    };
    printed.map_err(|e| format!("block {}: {e}", node.name.replace('$', ".")))
}

/// A module whose text is written by hand.
fn print_text(node: &Node, text: &str, children: &HashMap<String, String>) -> Result<Printed> {
    let (first, body) = text.trim_start().split_once('\n').unwrap_or_default();
    let (name, doc) = first
        .strip_prefix("//")
        .and_then(title)
        .ok_or("text must start with `// module name: what it is`")?;
    let mut body = body.trim().to_string();
    for (child, module) in children {
        body = body.replace(&format!("@{child}@"), module);
    }
    let indented: Vec<String> =
        body.lines().map(|l| if l.is_empty() { String::new() } else { format!("{}{l}", pad(1)) }).collect();
    let head = ports(node, Docs::of(&name), &HashSet::new());
    Ok(Printed { name, doc, rest: format!("{head}\n{}\nendmodule\n", indented.join("\n")) })
}

fn print_kernel(node: &mut Node, kernel: Kernel, children: &HashMap<String, String>) -> Result<Printed> {
    let body = flatten(node, kernel.body);
    prune(node, &body);
    let symbols = Symbols::new(node, &body)?;
    let plan = plan(node, body, &symbols)?;
    let (name, doc) = kernel.title.ok_or("kernel must start with comment!(\"module name: what it is\")")?;
    let docs = Docs::of(&name);
    let procedural: HashSet<String> =
        plan.groups.iter().flatten().flat_map(|s| s.writes()).map(String::from).collect();
    let mut printer = Printer::new(&symbols);
    let behaviour = behaviour(&mut printer, &plan)?;
    let instances = instances(node, children, &plan, &symbols)?;
    let mut sections = vec![nets(node, &plan, &symbols, &procedural)?, printer.nets, instances];
    sections.extend(behaviour);
    let used = sections.iter().flatten().map(String::as_str).collect::<Vec<_>>().join("\n");
    sections.insert(0, constants(&symbols, docs, &used));
    let text = sections.iter().filter(|s| !s.is_empty()).map(|s| indented(s)).collect::<Vec<_>>();
    let head = ports(node, docs, &procedural);
    Ok(Printed { name, doc, rest: format!("{head}\n{}endmodule\n", text.join("\n")) })
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{}{line}\n", pad(1))).collect()
}

/// The port list, each with its comment; outputs in `procedural` are assigned in `always` blocks.
fn ports(node: &Node, docs: Docs, procedural: &HashSet<String>) -> String {
    let port = |item: &Item| {
        let kind = match item.kind {
            AtomKind::InputParameter => "input  wire",
            AtomKind::InOutParameter => "inout  wire",
            _ if procedural.contains(&item.name) => "output reg ",
            _ => "output wire",
        };
        let range =
            if item.is_lanes && item.bits == 1 { "[0:0] ".into() } else { range(item.bits, item.signed) };
        let comment = docs.part(&item.name).map(|doc| format!("{}// {doc}\n", pad(1))).unwrap_or_default();
        (comment, format!("{}{kind} {range}{}", pad(1), identifier(&item.name)))
    };
    let ports: Vec<(String, String)> = node.items.iter().filter(|i| i.is_port()).map(port).collect();
    let lines: Vec<String> = ports.into_iter().map(|(comment, port)| comment + &port).collect();
    format!(" (\n{}\n);", lines.join(",\n"))
}

/// Assigns, combinational blocks and clocked blocks.
fn behaviour(printer: &mut Printer, plan: &Plan) -> Result<Vec<Vec<String>>> {
    let mut sections = vec![vec![]];
    for (note, target, value) in &plan.assigns {
        sections[0].extend(note.iter().map(|note| format!("// {note}")));
        let (id, value) = assignment(printer, target, value)?;
        sections[0].push(format!("assign {id} = {value};"));
    }
    for group in &plan.groups {
        let body = statements(printer, group, Assign::Blocking, 1)?;
        sections.push(block("always @(*) begin".into(), body));
    }
    for (clock, body) in &plan.clocked {
        let clock = &printer.symbols.get(clock)?.id;
        let head = format!("always @(posedge {clock}) begin");
        sections.push(block(head, statements(printer, body, Assign::NonBlocking, 1)?));
    }
    Ok(sections)
}

fn block(head: String, body: Vec<String>) -> Vec<String> {
    std::iter::once(head).chain(body).chain(["end".to_string()]).collect()
}

/// Declarations of local signals, registers, and nets at the ports of children.
fn nets(node: &Node, plan: &Plan, symbols: &Symbols, procedural: &HashSet<String>) -> Result<Vec<String>> {
    let mut names: Vec<String> =
        node.items.iter().filter(|i| i.kind == AtomKind::LocalSignal).map(|i| i.name.clone()).collect();
    let mut lines = vec![];
    for register in node.registers() {
        names.extend([format!("{}$q", register.name)]);
        names.extend(Some(format!("{}$d", register.name)).filter(|d| plan.inputs.contains(d)));
    }
    for (name, _) in child_ports(node).filter(|(name, port)| is_named(plan, name, port)) {
        names.push(name);
    }
    for name in names {
        let symbol = symbols.get(&name)?;
        let kind = if procedural.contains(&name) || name.ends_with("$q") { "reg" } else { "wire" };
        lines.push(format!("{kind} {}{};", range(symbol.bits, symbol.signed), symbol.id));
    }
    for (name, _) in child_ports(node).filter(|(name, port)| is_open(plan, name, port)) {
        let symbol = symbols.get(&name)?;
        lines.push(format!("wire {}{}_unused;", range(symbol.bits, symbol.signed), symbol.id));
    }
    Ok(lines)
}

/// An output that nothing reads.
fn is_open(plan: &Plan, name: &str, port: &Item) -> bool {
    port.is_output() && !plan.pins.contains_key(name) && !plan.read.contains(name)
}

/// A port with a net of its own.
fn is_named(plan: &Plan, name: &str, port: &Item) -> bool {
    !plan.pins.contains_key(name) && !is_open(plan, name, port)
}

fn instances(
    node: &Node,
    children: &HashMap<String, String>,
    plan: &Plan,
    symbols: &Symbols,
) -> Result<Vec<String>> {
    let mut lines = vec![];
    for child in node.instances() {
        let mut pins = vec![];
        for port in child.items.iter().filter(|i| i.is_port()) {
            let name = format!("{}${}", child.name, port.name);
            let net = &symbols.get(plan.pins.get(&name).unwrap_or(&name))?.id;
            let open = if is_open(plan, &name, port) { "_unused" } else { "" };
            pins.push(format!("{}.{}({net}{open})", pad(1), identifier(&port.name)));
        }
        let last = pins.len().saturating_sub(1);
        pins.iter_mut().take(last).for_each(|p| p.push(','));
        lines.push(format!("{} u_{} (", children[&child.name], identifier(&child.name)));
        lines.extend(pins);
        lines.push(");".into());
    }
    Ok(lines)
}

/// Constants and states that `used` mentions.
fn constants(symbols: &Symbols, docs: Docs, used: &str) -> Vec<String> {
    let words: HashSet<&str> = used.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let used = symbols.constants().into_iter().filter(|s| words.contains(s.id.as_str()));
    used.map(|s| {
        let value = number(s.value.unwrap_or_default(), s.bits);
        let note = s.state.as_ref().and_then(|state| docs.part(state)).map(|doc| format!("  // {doc}"));
        format!("localparam {}{} = {value};{}", range(s.bits, s.signed), s.id, note.unwrap_or_default())
    })
    .collect()
}
