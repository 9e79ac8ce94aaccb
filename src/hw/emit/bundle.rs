//! Ports of several signals, `layer_i$units`: joined as a whole in kernels, part by part in Verilog.

use super::collect::{Item, Node};
use super::ir::{Expr, Stmt};

/// `body` with every assignment of a whole port as assignments of the parts that its target has.
pub fn flatten(node: &Node, body: Vec<Stmt>) -> Vec<Stmt> {
    let own = node.items.iter().map(|item| item.name.clone());
    let names: Vec<String> = own.chain(child_ports(node).map(|(name, _)| name)).collect();
    let parts = |stmt: Stmt| {
        let Stmt::Set(target, Expr::Signal(source)) = &stmt else { return vec![stmt] };
        if names.contains(target) {
            return vec![stmt];
        }
        let prefix = format!("{target}$");
        let parts: Vec<Stmt> = names
            .iter()
            .filter_map(|name| {
                let part = name.strip_prefix(&prefix)?;
                Some(Stmt::Set(name.clone(), Expr::Signal(format!("{source}${part}"))))
            })
            .collect();
        // A port of which nothing is read has no parts; what is no port keeps its name and is refused later.
        if parts.is_empty() && !is_port(target) { vec![stmt] } else { parts }
    };
    body.into_iter().flat_map(parts).collect()
}

fn is_port(name: &str) -> bool {
    name.ends_with("_i") || name.ends_with("_o")
}

/// Takes from `node` the input parts that `body` does not read, and the bits of those that go to children only, and are
/// narrower there.
pub fn prune(node: &mut Node, body: &[Stmt]) {
    let widths: Vec<(String, usize)> = child_ports(node).map(|(name, port)| (name, port.bits)).collect();
    let width = |name: &str| widths.iter().find(|(port, _)| port == name).map(|(_, bits)| *bits);
    node.items.retain_mut(|item| {
        if !item.is_port() || item.is_output() || !item.name.contains('$') {
            return true;
        }
        let mut reads = 0;
        body.iter().for_each(|stmt| stmt.each_read(&mut |name| reads += (name == item.name) as usize));
        let passed: Vec<usize> = body
            .iter()
            .filter_map(|stmt| match stmt {
                Stmt::Set(target, Expr::Signal(source)) if *source == item.name => width(target),
                _ => None,
            })
            .collect();
        if passed.len() == reads {
            item.bits = passed.into_iter().max().unwrap_or(0).min(item.bits);
        }
        reads > 0
    });
}

/// Ports of all instances, with their names in the kernel.
pub fn child_ports(node: &Node) -> impl Iterator<Item = (String, &Item)> {
    node.instances().flat_map(|child| {
        child.items.iter().filter(|i| i.is_port()).map(move |p| (format!("{}${}", child.name, p.name), p))
    })
}
