//! From a graph to the chain of nodes between its input and its output.

use super::constants::Constants;
use super::proto::{GraphProto, NodeProto, ValueInfoProto};
use std::collections::HashMap;

/// The nodes through which the image flows, first to last.
pub struct Chain<'a> {
    /// In order of execution.
    pub nodes: Vec<&'a NodeProto>,
    /// Name of the graph's input.
    pub input: String,
    /// Sizes of the graph's input; `None` where the file leaves one open.
    pub input_dims: Vec<Option<usize>>,
}

impl<'a> Chain<'a> {
    /// Walks from the graph's output back to its input.
    ///
    /// # Errors
    /// More than one input or output, a branch, a cycle, a value that nobody makes.
    pub fn new(graph: &'a GraphProto, constants: &Constants) -> Result<Self, String> {
        let input = only(graph.true_inputs(), "inputs")?;
        let output = only(graph.output.iter(), "outputs")?;
        let makers: HashMap<&str, &NodeProto> =
            graph.node.iter().flat_map(|n| n.output.iter().map(move |o| (o.as_str(), n))).collect();
        let mut nodes = vec![];
        let mut value = output.name.as_str();
        while value != input.name {
            let node = *makers.get(value).ok_or_else(|| format!("no node makes the value {value:?}"))?;
            if nodes.len() == graph.node.len() {
                return Err(format!(
                    "the graph runs in a cycle through node {} ({})",
                    node.label(),
                    node.op_type
                ));
            }
            nodes.push(node);
            value = data_input(node, constants)?;
        }
        nodes.reverse();
        Ok(Self { nodes, input: input.name.clone(), input_dims: dims(input) })
    }
}

/// The one input of `node` that is no weight, shape or other constant.
fn data_input<'a>(node: &'a NodeProto, constants: &Constants) -> Result<&'a str, String> {
    let either = matches!(node.op_type.as_str(), "Add" | "Mul" | "Sub" | "Div" | "Max");
    let candidates = if either { node.input.len().min(2) } else { node.input.len().min(1) };
    let mut flowing = node.input[..candidates].iter().filter(|name| !constants.is_constant(name));
    let fail = |what: &str| node.fault(what);
    let first = flowing.next().ok_or_else(|| fail("reads no image, only constants"))?;
    match flowing.next() {
        None => Ok(first),
        Some(_) => Err(fail("joins two branches; only chains without branches are supported")),
    }
}

fn only<'a>(
    mut values: impl Iterator<Item = &'a ValueInfoProto>,
    what: &str,
) -> Result<&'a ValueInfoProto, String> {
    match (values.next(), values.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(format!("the graph has no {what}")),
        (Some(a), Some(b)) => Err(format!("the graph has several {what}: {}, {}, …", a.name, b.name)),
    }
}

fn dims(value: &ValueInfoProto) -> Vec<Option<usize>> {
    let shape = value.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()).and_then(|t| t.shape.as_ref());
    let known = |v: i64| usize::try_from(v).ok().filter(|&v| v > 0);
    shape.map(|s| s.dim.iter().map(|d| d.dim_value.and_then(known)).collect()).unwrap_or_default()
}
