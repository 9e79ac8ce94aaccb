//! Which of a checkpoint's values is the network's state dict.

use crate::float::import::facts::{Facts, Origin};
use crate::float::import::pickle::{Machine, Tensor, Value, short};
use std::collections::HashSet;

/// Values of one checkpoint that are looked at, and how deep.
const MOST_VALUES: usize = 1 << 20;
const DEEPEST: usize = 12;
/// Names of state dicts that are not the network itself, or not the one that is meant first.
const SECOND: [&str; 9] =
    ["optim", "ema", "swa", "average", "teacher", "sched", "momentum", "old", "discriminator"];

/// Named tensors, and where in the checkpoint they stand.
struct Candidate {
    /// Keys from the top, joined by dots; empty at the top.
    path: String,
    tensors: Vec<(String, Tensor)>,
}

/// The named tensors of the network; `key` says where, in a file of several.
pub fn state_dict(
    machine: &Machine,
    key: Option<&str>,
    facts: &mut Facts,
) -> Result<Vec<(String, Tensor)>, String> {
    let mut search = Search { machine, seen: HashSet::new(), found: vec![] };
    search.visit(machine.top_index(), "", 0)?;
    let mut found = search.found;
    if let Some(key) = key {
        return named(found, key, facts);
    }
    if found.is_empty() {
        return Err("holds no state dict: save model.state_dict() with torch.save".into());
    }
    if !found.iter().any(Candidate::is_network) {
        let name =
            |c: &Candidate, n: &str| if c.path.is_empty() { n.into() } else { format!("{}.{n}", c.path) };
        return Ok(found
            .iter()
            .flat_map(|c| c.tensors.iter().map(|(n, t)| (name(c, n), t.clone())))
            .collect());
    }
    found.retain(Candidate::is_network);
    let first = found.iter().position(|c| !c.is_second()).unwrap_or(0);
    let place = |c: &Candidate| if c.path.is_empty() { "the file itself".into() } else { c.path.clone() };
    let others: Vec<String> =
        found.iter().enumerate().filter(|(i, _)| *i != first).map(|(_, c)| place(c)).collect();
    let chosen = found.swap_remove(first);
    match others.is_empty() {
        true if chosen.path.is_empty() => {}
        true => facts.note("state dict", place(&chosen), Origin::File),
        false => {
            let why = format!("there are also {}; --key", others.join(", "));
            facts.note("state dict", place(&chosen), Origin::Assumed(why));
        }
    }
    Ok(chosen.tensors)
}

/// The state dict at `key`, or the tensors whose names begin with it.
fn named(found: Vec<Candidate>, key: &str, facts: &mut Facts) -> Result<Vec<(String, Tensor)>, String> {
    let key = key.trim_end_matches('.');
    let paths: Vec<String> = found.iter().map(|c| format!("{:?}", c.path)).collect();
    for candidate in found {
        let rest = match key.strip_prefix(candidate.path.as_str()) {
            Some("") => None,
            Some(rest) if candidate.path.is_empty() => Some(format!("{rest}.")),
            Some(rest) => rest.strip_prefix('.').map(|rest| format!("{rest}.")),
            None => continue,
        };
        let of = |(name, t): (String, Tensor)| match &rest {
            None => Some((name, t)),
            Some(rest) => name.strip_prefix(rest.as_str()).map(|n| (n.to_string(), t)),
        };
        let whole = rest.is_none() && candidate.path == key;
        let tensors: Vec<_> = candidate.tensors.into_iter().filter_map(of).collect();
        if !tensors.is_empty() && (whole || rest.is_some()) {
            facts.note("state dict", key, Origin::Option("--key"));
            return Ok(tensors);
        }
    }
    Err(format!("--key {key}: no state dict there; the file has {}", paths.join(", ")))
}

impl Candidate {
    /// Whether it has convolutions and dense layers.
    fn is_network(&self) -> bool {
        let has = |rank: usize| self.tensors.iter().any(|(_, t)| t.size.len() == rank);
        has(4) && has(2)
    }

    fn is_second(&self) -> bool {
        let path = self.path.to_lowercase();
        SECOND.iter().any(|word| path.contains(word))
    }
}

struct Search<'a> {
    machine: &'a Machine,
    seen: HashSet<usize>,
    found: Vec<Candidate>,
}

impl Search<'_> {
    fn visit(&mut self, index: usize, path: &str, depth: usize) -> Result<(), String> {
        if depth > DEEPEST || !self.seen.insert(index) {
            return Ok(());
        }
        if self.seen.len() > MOST_VALUES {
            return Err("holds too many values for a checkpoint".into());
        }
        let machine = self.machine;
        match machine.at(index) {
            Value::Dict(pairs) => {
                self.add(path, pairs.iter().copied());
                for &(k, v) in pairs {
                    if let Value::Str(k) = machine.at(k)
                        && short(k)
                    {
                        self.visit(v, &joined(path, k), depth + 1)?;
                    }
                }
            }
            Value::Sequence(items) => {
                let pair = |&i: &usize| match machine.at(i) {
                    Value::Sequence(pair) => pair.first_chunk::<2>().map(|&[k, v]| (k, v)),
                    _ => None,
                };
                self.add(path, items.iter().filter_map(pair));
                for (i, &item) in items.iter().enumerate() {
                    self.visit(item, &joined(path, &i.to_string()), depth + 1)?;
                }
            }
            Value::Object { state: Some(state), .. } => self.object(*state, path, depth)?,
            _ => {}
        }
        Ok(())
    }

    /// A pickled object: of a module the parameters, buffers and modules in it, of others whatever they hold.
    fn object(&mut self, state: usize, path: &str, depth: usize) -> Result<(), String> {
        let machine = self.machine;
        if machine.get(machine.at(state), "_modules").is_none() {
            return self.visit(state, path, depth + 1);
        }
        let mut tensors = vec![];
        self.module(state, "", 0, &mut tensors)?;
        self.found.push(Candidate { path: path.into(), tensors });
        Ok(())
    }

    fn module(
        &mut self,
        state: usize,
        path: &str,
        depth: usize,
        out: &mut Vec<(String, Tensor)>,
    ) -> Result<(), String> {
        let machine = self.machine;
        if depth > DEEPEST || !self.seen.insert(state) || self.seen.len() > MOST_VALUES {
            return Err("its modules are nested too deeply".into());
        }
        for part in ["_parameters", "_buffers"] {
            for (name, value) in
                machine.get(machine.at(state), part).map(|d| machine.items(d)).unwrap_or_default()
            {
                if let (Value::Str(name), Value::Tensor(t)) = (name, value)
                    && short(name)
                {
                    out.push((joined(path, name), t.clone()));
                }
            }
        }
        let Some(Value::Dict(modules)) = machine.get(machine.at(state), "_modules") else { return Ok(()) };
        for &(name, module) in modules {
            if let (Value::Str(name), Value::Object { state: Some(state), .. }) =
                (machine.at(name), machine.at(module))
                && short(name)
            {
                self.module(*state, &joined(path, name), depth + 1, out)?;
            }
        }
        Ok(())
    }

    /// The tensors among `pairs` as a candidate.
    fn add(&mut self, path: &str, pairs: impl Iterator<Item = (usize, usize)>) {
        let tensor = |(k, v): (usize, usize)| match (self.machine.at(k), self.machine.at(v)) {
            (Value::Str(k), Value::Tensor(t)) if short(k) => Some((k.clone(), t.clone())),
            _ => None,
        };
        let tensors: Vec<_> = pairs.filter_map(tensor).collect();
        if !tensors.is_empty() {
            self.found.push(Candidate { path: path.into(), tensors });
        }
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.into() } else { format!("{path}.{name}") }
}
