//! From rust_hdl's syntax tree to [`ir`](super::ir).

use super::error::Result;
use super::index::{Name, Scope, resolve};
use super::ir::{Expr, Op, Stmt};
use rust_hdl::core::ast::*;

/// A kernel: what it says of itself, and its statements.
#[derive(Default)]
pub struct Kernel {
    /// Name and description from `comment!("module name: description")`.
    pub title: Option<(String, String)>,
    pub body: Vec<Stmt>,
}

/// Lowers the kernel `block`.
pub fn lower(block: &VerilogBlock) -> Result<Kernel> {
    let mut lowerer = Lowerer::default();
    let body = lowerer.block(block)?;
    Ok(Kernel { title: lowerer.title, body })
}

/// `module name: description` → name and description.
pub fn title(comment: &str) -> Option<(String, String)> {
    let (name, doc) = comment.trim().strip_prefix("module ")?.split_once(':')?;
    Some((name.trim().into(), doc.trim().into()))
}

#[derive(Default)]
struct Lowerer {
    scope: Scope,
    title: Option<(String, String)>,
}

impl Lowerer {
    fn block(&mut self, block: &VerilogBlock) -> Result<Vec<Stmt>> {
        let mut body = vec![];
        for statement in block {
            self.statement(statement, &mut body)?;
        }
        Ok(body)
    }

    fn statement(&mut self, statement: &VerilogStatement, out: &mut Vec<Stmt>) -> Result<()> {
        match statement {
            VerilogStatement::Assignment(target, value) => {
                out.push(Stmt::Set(self.target(target)?, self.expr(value)?))
            }
            VerilogStatement::If(conditional) => out.push(self.conditional(conditional)?),
            VerilogStatement::Match(m) => out.push(self.case(m)?),
            VerilogStatement::Loop(l) => self.unroll(l, out)?,
            VerilogStatement::Macro(block) => out.extend(self.block(block)?),
            VerilogStatement::Comment(text) => out.extend(self.comment(text)),
            other => return Err(format!("no Verilog for the statement {other:?}")),
        }
        Ok(())
    }

    /// The first comment is the title, the others stay where they are.
    fn comment(&mut self, text: &str) -> Option<Stmt> {
        let text = text.split_once('"').map_or(text, |(_, rest)| rest);
        if self.title.is_none() {
            self.title = title(text);
            return None;
        }
        Some(Stmt::Note(text.trim().into()))
    }

    fn unroll(&mut self, l: &VerilogLoop, out: &mut Vec<Stmt>) -> Result<()> {
        for i in l.from.as_usize()..l.to.as_usize() {
            self.scope.push((l.index.clone(), i as i64));
            out.extend(self.block(&l.block)?);
            self.scope.pop();
        }
        Ok(())
    }

    fn conditional(&mut self, c: &VerilogConditional) -> Result<Stmt> {
        let test = self.expr(&c.test)?;
        let then = self.block(&c.then)?;
        let otherwise = match &c.otherwise {
            VerilogBlockOrConditional::Block(block) => self.block(block)?,
            VerilogBlockOrConditional::Conditional(next) => self.block(&vec![(**next).clone()])?,
            VerilogBlockOrConditional::None => vec![],
        };
        Ok(Stmt::If(test, then, otherwise))
    }

    fn case(&mut self, m: &VerilogMatch) -> Result<Stmt> {
        let test = self.expr(&m.test)?;
        let arms = m.cases.iter().map(|c| Ok((pattern(&c.condition), self.block(&c.block)?)));
        Ok(Stmt::Case(test, arms.collect::<Result<_>>()?))
    }

    fn target(&self, target: &VerilogExpression) -> Result<String> {
        match target {
            VerilogExpression::Signal(text) => match resolve(text, &self.scope)? {
                Name::Signal(name) => Ok(name),
                Name::Value(_) => Err(format!("assignment to the loop variable {text}")),
            },
            other => Err(format!("no Verilog for an assignment to {other:?}")),
        }
    }

    fn expr(&self, e: &VerilogExpression) -> Result<Expr> {
        use VerilogExpression as V;
        let boxed = |x: &V| self.expr(x).map(Box::new);
        Ok(match e {
            V::Signal(text) => match resolve(text, &self.scope)? {
                Name::Signal(name) => Expr::Signal(name),
                Name::Value(value) => Expr::Const(value.into()),
            },
            V::Literal(literal) => Expr::Const(number(literal)?),
            V::Paren(x) => self.expr(x)?,
            V::Unary(VerilogOpUnary::Not, x) => Expr::Not(boxed(x)?),
            V::Unary(VerilogOpUnary::Neg, x) => negated(self.expr(x)?),
            V::Binary(l, op, r) => Expr::Binary(operator(op), boxed(l)?, boxed(r)?),
            other => return Err(format!("no Verilog for the expression {other:?}")),
        })
    }
}

fn negated(x: Expr) -> Expr {
    if let Expr::Const(value) = x { Expr::Const(-value) } else { Expr::Neg(Box::new(x)) }
}

fn pattern(text: &str) -> String {
    if text == "_" { "default".into() } else { text.replace("::", "$") }
}

/// Value of a literal, which rust_hdl only prints: `8'hff`, `3'b101`.
fn number(literal: &VerilogLiteral) -> Result<i128> {
    let text = literal.to_string();
    let digits = text.split_once('\'').and_then(|(_, value)| value.split_at_checked(1));
    let value = digits.and_then(|(radix, digits)| {
        let radix = if radix == "h" { 16 } else { 2 };
        i128::from_str_radix(digits, radix).ok()
    });
    value.ok_or_else(|| format!("cannot read the literal {text}"))
}

fn operator(op: &VerilogOp) -> Op {
    match op {
        VerilogOp::Add => Op::Add,
        VerilogOp::Sub => Op::Sub,
        VerilogOp::Mul => Op::Mul,
        VerilogOp::LogicalAnd => Op::Both,
        VerilogOp::LogicalOr => Op::Either,
        VerilogOp::BitXor => Op::Xor,
        VerilogOp::BitAnd => Op::And,
        VerilogOp::BitOr => Op::Or,
        VerilogOp::Shl => Op::Shl,
        VerilogOp::Shr => Op::Shr,
        VerilogOp::Eq => Op::Eq,
        VerilogOp::Lt => Op::Lt,
        VerilogOp::Le => Op::Le,
        VerilogOp::Ne => Op::Ne,
        VerilogOp::Ge => Op::Ge,
        VerilogOp::Gt => Op::Gt,
    }
}
