//! What of a kernel is wiring, what is combinational, what is clocked.

use super::collect::Node;
use super::error::Result;
use super::ir::{Expr, Stmt, prune, retarget};
use super::symbols::{Symbol, Symbols};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The parts of a module.
#[derive(Default)]
pub struct Plan {
    /// Ports of children that are wired to a signal without a net of their own: port → signal.
    pub pins: HashMap<String, String>,
    /// Single unconditional assignments, and the comment above.
    pub assigns: Vec<(Option<String>, String, Expr)>,
    /// Bodies of `always @(*)` blocks.
    pub groups: Vec<Vec<Stmt>>,
    /// Bodies of clocked blocks by clock.
    pub clocked: BTreeMap<String, Vec<Stmt>>,
    /// Every signal that is read.
    pub read: HashSet<String>,
    /// Inputs of registers (`name$d`) that need a net.
    pub inputs: HashSet<String>,
}

/// Plans the statements `body` of `node`.
pub fn plan(node: &Node, body: Vec<Stmt>, symbols: &Symbols) -> Result<Plan> {
    let body = without_dead(body);
    let clocks = clocks(node, &body)?;
    let body = prune(&body, &|target| target.strip_suffix("$clock").is_none_or(|r| !clocks.contains_key(r)));
    let usage = Usage::of(&body);
    let mut plan = Plan { read: usage.reads.keys().cloned().collect(), ..Default::default() };
    plan.pins = pins(node, &body, &usage, symbols);
    let in_place = in_place(&clocks, &body, &usage);
    plan.clocked = clocked(&clocks, &body, &in_place);
    plan.inputs = clocks.keys().map(|r| input(r)).filter(|d| !in_place.contains(d)).collect();
    let wired = |stmt: &Stmt| matches!(stmt, Stmt::Set(t, e) if is_wired(&plan.pins, t, e));
    let unwired: Vec<Stmt> = body.into_iter().filter(|s| !wired(s)).collect();
    let rest = prune(&unwired, &|target| !in_place.contains(target));
    for group in groups(rest) {
        match &group[..] {
            [Stmt::Set(target, value)] => plan.assigns.push((None, target.clone(), value.clone())),
            [Stmt::Note(note), Stmt::Set(target, value)] => {
                plan.assigns.push((Some(note.clone()), target.clone(), value.clone()));
            }
            _ => plan.groups.push(group),
        }
    }
    Ok(plan)
}

fn input(register: &str) -> String {
    format!("{register}$d")
}

/// How often, and where last, signals are read and written.
#[derive(Default)]
struct Usage {
    reads: HashMap<String, usize>,
    writes: HashMap<String, usize>,
    /// Position of the last top-level statement that writes the signal.
    last: HashMap<String, usize>,
}

impl Usage {
    fn of(body: &[Stmt]) -> Self {
        let mut usage = Usage::default();
        for (at, stmt) in body.iter().enumerate() {
            stmt.each_read(&mut |n| *usage.reads.entry(n.into()).or_default() += 1);
            stmt.each_write(&mut |n| {
                *usage.writes.entry(n.into()).or_default() += 1;
                usage.last.insert(n.into(), at);
            });
        }
        usage
    }

    fn written_once(&self, name: &str) -> bool {
        self.writes.get(name) == Some(&1)
    }

    /// Whether `name` has its final value before statement `at`.
    fn is_final(&self, name: &str, at: usize) -> bool {
        self.last.get(name).is_none_or(|&last| last < at)
    }
}

/// `body` without top-level assignments that the next one to the same signal makes void.
fn without_dead(body: Vec<Stmt>) -> Vec<Stmt> {
    let dead = |at: usize| {
        let Stmt::Set(target, _) = &body[at] else { return false };
        let next =
            body[at + 1..].iter().find(|s| s.reads().contains(&**target) || s.writes().contains(&**target));
        matches!(next, Some(s @ Stmt::Set(..)) if !s.reads().contains(&**target))
    };
    let keep: Vec<bool> = (0..body.len()).map(|at| !dead(at)).collect();
    body.into_iter().zip(keep).filter_map(|(stmt, keep)| keep.then_some(stmt)).collect()
}

/// Register → its clock.
fn clocks(node: &Node, body: &[Stmt]) -> Result<BTreeMap<String, String>> {
    let clock_of = |register: &Node| {
        let pin = format!("{}$clock", register.name);
        let clock = body.iter().find_map(|s| match s {
            Stmt::Set(target, Expr::Signal(clock)) if *target == pin => Some(clock.clone()),
            _ => None,
        });
        clock.ok_or_else(|| format!("register {} has no clock", register.name))
    };
    node.registers().map(|r| Ok((r.name.clone(), clock_of(r)?))).collect()
}

/// Inputs of registers that can be written with `<=` where the kernel writes them: nothing reads them, and what their
/// statements read is final there.
fn in_place(clocks: &BTreeMap<String, String>, body: &[Stmt], usage: &Usage) -> HashSet<String> {
    let mut names: HashSet<String> =
        clocks.keys().map(|r| input(r)).filter(|d| !usage.reads.contains_key(d)).collect();
    for (at, stmt) in body.iter().enumerate() {
        let mine: HashSet<String> =
            stmt.writes().into_iter().filter(|w| names.contains(*w)).map(String::from).collect();
        let alone = prune(std::slice::from_ref(stmt), &|t| mine.contains(t));
        if alone.iter().any(|s| s.reads().iter().any(|r| !usage.is_final(r, at))) {
            names.retain(|n| !mine.contains(n));
        }
    }
    names
}

fn clocked(
    clocks: &BTreeMap<String, String>,
    body: &[Stmt],
    in_place: &HashSet<String>,
) -> BTreeMap<String, Vec<Stmt>> {
    let mut blocks: BTreeMap<String, Vec<Stmt>> = BTreeMap::new();
    for (register, clock) in clocks.iter().filter(|(r, _)| !in_place.contains(&input(r))) {
        let take = Stmt::Set(format!("{register}$q"), Expr::Signal(input(register)));
        blocks.entry(clock.clone()).or_default().push(take);
    }
    let held = without_holds(body);
    let names: HashSet<&String> = clocks.values().collect();
    for clock in names {
        let of_clock = |d: &str| d.strip_suffix("$d").is_some_and(|r| clocks.get(r) == Some(clock));
        let mine = prune(&held, &|target| in_place.contains(target) && of_clock(target));
        let output = |d: &str| format!("{}q", d.trim_end_matches('d'));
        blocks.entry(clock.clone()).or_default().extend(mine.iter().map(|s| retarget(s, &output)));
    }
    blocks
}

/// `body` without the assignments `d = q` that come first: a register holds its value anyway.
fn without_holds(body: &[Stmt]) -> Vec<Stmt> {
    let mut written = HashSet::new();
    let mut kept = vec![];
    for stmt in body {
        if !holds(stmt) || stmt.writes().iter().any(|w| written.contains(w)) {
            kept.push(stmt.clone());
        }
        written.extend(stmt.writes());
    }
    kept
}

/// Whether the statement is `d = q` of one register.
fn holds(stmt: &Stmt) -> bool {
    let Stmt::Set(target, Expr::Signal(source)) = stmt else { return false };
    target.strip_suffix("$d").is_some_and(|r| source.strip_suffix("$q") == Some(r))
}

/// Ports of children that need no net of their own.
fn pins(node: &Node, body: &[Stmt], usage: &Usage, symbols: &Symbols) -> HashMap<String, String> {
    let ports: HashMap<String, bool> = node
        .instances()
        .flat_map(|c| c.items.iter().filter(|i| i.is_port()).map(move |p| (c, p)))
        .map(|(c, p)| (format!("{}${}", c.name, p.name), p.is_output()))
        .collect();
    let same_bits = |a: &str, b: &str| match (symbols.get(a), symbols.get(b)) {
        (Ok(a), Ok(b)) => a.bits == b.bits && is_net(a) && is_net(b),
        _ => false,
    };
    let mut pins = HashMap::new();
    for (at, stmt) in body.iter().enumerate() {
        let Stmt::Set(target, Expr::Signal(source)) = stmt else { continue };
        if !usage.written_once(target) || !same_bits(target, source) {
            continue;
        }
        let input = ports.get(target) == Some(&false) && !usage.reads.contains_key(target);
        let output = ports.get(source) == Some(&true) && usage.reads[source] == 1 && !target.contains('$');
        if output {
            pins.insert(source.clone(), target.clone());
        } else if input && usage.is_final(source, at) {
            pins.insert(target.clone(), source.clone());
        }
    }
    pins
}

fn is_net(symbol: &Symbol) -> bool {
    symbol.value.is_none()
}

fn is_wired(pins: &HashMap<String, String>, target: &str, value: &Expr) -> bool {
    let Expr::Signal(source) = value else { return false };
    pins.get(target) == Some(source) || pins.get(source).is_some_and(|t| t == target)
}

/// Statements that must stand in one block: those that write one signal, or read it before its last write. A comment
/// stays above the statement that follows it.
fn groups(body: Vec<Stmt>) -> Vec<Vec<Stmt>> {
    let is_note = |stmt: &Stmt| matches!(stmt, Stmt::Note(_));
    let mut notes: HashMap<usize, Stmt> = HashMap::new();
    let mut statements = vec![];
    for stmt in body {
        match is_note(&stmt) {
            true => drop(notes.insert(statements.len(), stmt)),
            false => statements.push(stmt),
        }
    }
    let body = statements;
    let usage = Usage::of(&body);
    let mut of_signal: HashMap<&str, usize> = HashMap::new();
    let mut members: Vec<Vec<usize>> = vec![];
    for (at, stmt) in body.iter().enumerate() {
        let unfinished = stmt.reads().into_iter().filter(|r| !usage.is_final(r, at));
        let tied: HashSet<&str> = stmt.writes().into_iter().chain(unfinished).collect();
        let joined: HashSet<usize> = tied.iter().filter_map(|n| of_signal.get(n).copied()).collect();
        let mut all: Vec<usize> = joined.iter().flat_map(|&g| std::mem::take(&mut members[g])).collect();
        all.push(at);
        of_signal.values_mut().filter(|g| joined.contains(g)).for_each(|g| *g = members.len());
        of_signal.extend(tied.iter().map(|&n| (n, members.len())));
        members.push(all);
    }
    members.retain(|m| !m.is_empty());
    members.iter_mut().for_each(|m| m.sort_unstable());
    members.sort_by_key(|m| m[0]);
    let noted = |at: usize| notes.get(&at).cloned().into_iter().chain([body[at].clone()]);
    members.iter().map(|m| m.iter().flat_map(|&at| noted(at)).collect()).collect()
}
