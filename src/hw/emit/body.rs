//! Statements as text.

use super::error::Result;
use super::expr::{Printer, number};
use super::ir::{Expr, Stmt};

/// The assignment of a block.
#[derive(Clone, Copy)]
pub enum Assign {
    /// `=`, combinational.
    Blocking,
    /// `<=`, clocked.
    NonBlocking,
}

impl Assign {
    fn operator(self) -> &'static str {
        match self {
            Assign::Blocking => "=",
            Assign::NonBlocking => "<=",
        }
    }
}

/// Lines of `body`, indented by `depth` steps.
pub fn statements(printer: &mut Printer, body: &[Stmt], how: Assign, depth: usize) -> Result<Vec<String>> {
    let mut lines = vec![];
    for stmt in body {
        lines.extend(statement(printer, stmt, how, depth)?);
    }
    Ok(lines)
}

fn statement(printer: &mut Printer, stmt: &Stmt, how: Assign, depth: usize) -> Result<Vec<String>> {
    match stmt {
        Stmt::Set(target, value) => {
            let (id, value) = assignment(printer, target, value)?;
            Ok(vec![format!("{}{id} {} {value};", pad(depth), how.operator())])
        }
        Stmt::If(test, then, otherwise) => {
            let mut lines = conditional(printer, test, then, otherwise, how, depth)?;
            lines[0].insert_str(0, &pad(depth));
            Ok(lines)
        }
        Stmt::Case(test, arms) => case(printer, test, arms, how, depth),
        Stmt::Note(text) => Ok(vec![format!("{}// {text}", pad(depth))]),
    }
}

/// Identifier and value of an assignment.
pub fn assignment(printer: &mut Printer, target: &str, value: &Expr) -> Result<(String, String)> {
    let symbol = printer.symbols.get(target)?.clone();
    printer.hint = symbol.id.clone();
    let value = printer.value(value, symbol.bits).map_err(|e| format!("{}: {e}", symbol.id))?;
    Ok((symbol.id, value))
}

/// `if` with its `else if`s; the first line has no indent.
fn conditional(
    printer: &mut Printer,
    test: &Expr,
    then: &[Stmt],
    otherwise: &[Stmt],
    how: Assign,
    depth: usize,
) -> Result<Vec<String>> {
    printer.hint = "test".into();
    let mut lines = vec![format!("if ({}) begin", printer.condition(test)?)];
    lines.extend(statements(printer, then, how, depth + 1)?);
    let end = format!("{}end", pad(depth));
    match otherwise {
        [] => lines.push(end),
        [Stmt::If(test, then, otherwise)] => {
            let mut next = conditional(printer, test, then, otherwise, how, depth)?;
            next[0] = format!("{end} else {}", next[0]);
            lines.extend(next);
        }
        body => {
            lines.push(format!("{end} else begin"));
            lines.extend(statements(printer, body, how, depth + 1)?);
            lines.push(end);
        }
    }
    Ok(lines)
}

/// Arms that do nothing share the default. Without one, the last arm becomes it: rustc has checked that the arms are
/// exhaustive.
fn case(
    printer: &mut Printer,
    test: &Expr,
    arms: &[(String, Vec<Stmt>)],
    how: Assign,
    depth: usize,
) -> Result<Vec<String>> {
    printer.hint = "test".into();
    let (name, shape) = printer.leaf(test)?;
    let mut lines = vec![format!("{}case ({name})", pad(depth))];
    let has_idle = arms.iter().any(|(_, body)| body.is_empty());
    for (i, (pattern, body)) in arms.iter().enumerate().filter(|(_, (_, body))| !body.is_empty()) {
        let pattern = match pattern.parse::<i128>() {
            _ if pattern == "default" || (i + 1 == arms.len() && !has_idle) => "default".into(),
            Ok(value) => number(value, shape.bits),
            Err(_) => printer.symbols.get(pattern)?.id.clone(),
        };
        lines.push(format!("{}{pattern}: begin", pad(depth + 1)));
        lines.extend(statements(printer, body, how, depth + 2)?);
        lines.push(format!("{}end", pad(depth + 1)));
    }
    if has_idle {
        lines.push(format!("{}default: ;", pad(depth + 1)));
    }
    lines.push(format!("{}endcase", pad(depth)));
    Ok(lines)
}

/// Indent of `depth` steps.
pub fn pad(depth: usize) -> String {
    "    ".repeat(depth)
}
