//! Expressions as Verilog text of exact width.
//!
//! A kernel computes with integers and wraps at assignment, so an operand of `+ - & | ^ ~` may be cut to the width of the
//! target, while products, right shifts and comparisons need the operands' own widths. An operand is extended or cut in
//! the text, never by Verilog's context rules; a product or an arithmetic shift, whose meaning depends on the signs
//! around it, stands alone in an assignment.

use super::error::Result;
use super::ir::{Expr, Op};
use super::symbols::Symbols;

/// Width and sign that hold every value of an expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    pub bits: usize,
    pub signed: bool,
    pub is_bool: bool,
}

const BOOL: Shape = Shape { bits: 1, signed: false, is_bool: true };

const fn shape(bits: usize, signed: bool) -> Shape {
    Shape { bits, signed, is_bool: false }
}

/// Text, and whether it can be an operand without parentheses.
struct Text {
    text: String,
    closed: bool,
}

fn closed(text: String) -> Text {
    Text { text, closed: true }
}

fn open(text: String) -> Text {
    Text { text, closed: false }
}

impl Text {
    fn operand(self) -> String {
        if self.closed { self.text } else { format!("({})", self.text) }
    }
}

/// Prints expressions; collects the nets that hold intermediate results.
pub struct Printer<'a> {
    pub symbols: &'a Symbols,
    /// Declarations of intermediate nets.
    pub nets: Vec<String>,
    /// Names of intermediate nets start with this.
    pub hint: String,
}

impl<'a> Printer<'a> {
    pub fn new(symbols: &'a Symbols) -> Self {
        Self { symbols, nets: vec![], hint: String::new() }
    }

    /// The right side of an assignment to `bits` bits.
    pub fn value(&mut self, e: &Expr, bits: usize) -> Result<String> {
        if let Expr::Binary(op @ (Op::Mul | Op::Shr), l, r) = e
            && self.shape(e)?.bits == bits
            && (*op == Op::Mul || constant(self.symbols, r).is_none())
        {
            return self.alone(*op, l, r);
        }
        Ok(self.cut(e, bits)?.text)
    }

    /// A condition.
    pub fn condition(&mut self, e: &Expr) -> Result<String> {
        Ok(self.cut(e, 1)?.text)
    }

    /// A product or a shift by a signal, in full.
    fn alone(&mut self, op: Op, l: &Expr, r: &Expr) -> Result<String> {
        let (left, l) = self.leaf(l)?;
        let (right, r) = self.leaf(r)?;
        match op {
            Op::Mul if l.signed != r.signed => Err(format!(
                "{left} * {right}: one is signed, the other not; widen the unsigned one into a signed Local"
            )),
            Op::Mul => Ok(format!("{left} * {right}")),
            _ if l.signed => Ok(format!("{left} >>> {right}")),
            _ => Ok(format!("{left} >> {right}")),
        }
    }

    /// `e` modulo 2^bits, as an operand of exactly `bits` bits.
    fn cut(&mut self, e: &Expr, bits: usize) -> Result<Text> {
        if let Some(value) = self.literal(e, bits) {
            return Ok(closed(value));
        }
        match e {
            Expr::Const(_) | Expr::Signal(_) => self.fitted(e, bits),
            Expr::Not(x) if self.shape(x)?.is_bool => {
                let x = self.cut(x, 1)?.operand();
                Ok(widened(closed(format!("!{x}")), bits))
            }
            Expr::Not(x) => self.inverse(x, bits),
            Expr::Neg(x) => Ok(open(format!("-{}", self.cut(x, bits)?.operand()))),
            Expr::Binary(op, l, r) => self.binary(e, *op, l, r, bits),
        }
    }

    fn inverse(&mut self, x: &Expr, bits: usize) -> Result<Text> {
        Ok(open(format!("~{}", self.cut(x, bits)?.operand())))
    }

    fn binary(&mut self, e: &Expr, op: Op, l: &Expr, r: &Expr, bits: usize) -> Result<Text> {
        match op {
            Op::And if self.low_mask(l).or(self.low_mask(r)).is_some() => self.masked(l, r, bits),
            Op::Add | Op::Sub | Op::And | Op::Or | Op::Xor => self.infix(op, l, r, bits),
            Op::Mul if bits < self.shape(e)?.bits => self.infix(op, l, r, bits),
            Op::Shl => {
                let amount = self.amount(r)?;
                Ok(open(format!("{} << {amount}", self.cut(l, bits)?.operand())))
            }
            Op::Shr => match constant(self.symbols, r) {
                Some(by) => self.slice(l, by, bits),
                None => self.fitted(e, bits),
            },
            Op::Mul => self.fitted(e, bits),
            Op::Both | Op::Either => {
                let (left, right) = (self.cut(l, 1)?.operand(), self.cut(r, 1)?.operand());
                Ok(widened(open(format!("{left} {} {right}", symbol(op))), bits))
            }
            Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge => {
                Ok(widened(self.comparison(op, l, r)?, bits))
            }
        }
    }

    fn infix(&mut self, op: Op, l: &Expr, r: &Expr, bits: usize) -> Result<Text> {
        let (left, right) = (self.cut(l, bits)?.operand(), self.cut(r, bits)?.operand());
        Ok(open(format!("{left} {} {right}", symbol(op))))
    }

    /// `x & (2^n − 1)`: the low n bits of x.
    fn masked(&mut self, l: &Expr, r: &Expr, bits: usize) -> Result<Text> {
        let (x, n) = match (self.low_mask(r), self.low_mask(l)) {
            (Some(n), _) => (l, n),
            (None, Some(n)) => (r, n),
            (None, None) => return self.infix(Op::And, l, r, bits),
        };
        let low = self.cut(x, n.min(bits))?;
        Ok(if bits > n { padded(low.text, n, bits) } else { low })
    }

    /// n of the constant 2^n − 1, n > 0.
    fn low_mask(&self, e: &Expr) -> Option<usize> {
        let value = constant(self.symbols, e)?;
        (value > 0 && value & (value + 1) == 0).then(|| value.count_ones() as usize)
    }

    /// Bits `by` and up of `x`, `bits` of them.
    fn slice(&mut self, x: &Expr, by: usize, bits: usize) -> Result<Text> {
        let (name, x) = self.leaf(x)?;
        if by >= x.bits {
            let sign = if x.bits == 1 { name } else { format!("{name}[{}]", x.bits - 1) };
            return Ok(closed(if x.signed { repeated(&sign, bits) } else { number(0, bits) }));
        }
        let count = (x.bits - by).min(bits);
        let text = part(&name, x.bits, by, count);
        Ok(if count == bits {
            closed(text)
        } else if x.signed {
            closed(format!("{{{}, {text}}}", repeated(&part(&name, x.bits, x.bits - 1, 1), bits - count)))
        } else {
            padded(text, count, bits)
        })
    }

    fn comparison(&mut self, op: Op, l: &Expr, r: &Expr) -> Result<Text> {
        let joint = join(self.shape(l)?, self.shape(r)?);
        if let (Op::Eq | Op::Ne, 1, Expr::Const(value @ (0 | 1))) = (op, joint.bits, r) {
            let bit = self.cut(l, 1)?;
            let same = (*value == 1) == (op == Op::Eq);
            return Ok(if same { bit } else { open(format!("~{}", bit.operand())) });
        }
        let ordered = !matches!(op, Op::Eq | Op::Ne);
        let left = self.side(l, joint, ordered)?;
        let right = self.side(r, joint, ordered)?;
        Ok(open(format!("{left} {} {right}", symbol(op))))
    }

    /// One side of a comparison, of the shape that holds both.
    fn side(&mut self, e: &Expr, joint: Shape, ordered: bool) -> Result<String> {
        if !(ordered && joint.signed) {
            return Ok(self.cut(e, joint.bits)?.operand());
        }
        if let Expr::Const(value) = e {
            let sign = if *value < 0 { "-" } else { "" };
            return Ok(format!("{sign}{}'sd{}", joint.bits, value.unsigned_abs()));
        }
        let plain = matches!(e, Expr::Signal(_)) && self.shape(e)? == joint;
        let text = self.cut(e, joint.bits)?.text;
        Ok(if plain { text } else { format!("$signed({text})") })
    }

    /// `e`, held by a net, extended or cut to `bits`.
    fn fitted(&mut self, e: &Expr, bits: usize) -> Result<Text> {
        let (name, own) = self.leaf(e)?;
        if bits <= own.bits {
            return Ok(closed(part(&name, own.bits, 0, bits)));
        }
        if !own.signed {
            return Ok(padded(name, own.bits, bits));
        }
        let sign = repeated(&part(&name, own.bits, own.bits - 1, 1), bits - own.bits);
        Ok(closed(format!("{{{sign}, {name}}}")))
    }

    /// A net that holds `e` in full.
    pub fn leaf(&mut self, e: &Expr) -> Result<(String, Shape)> {
        let own = self.shape(e)?;
        if let Expr::Signal(name) = e {
            return Ok((self.symbols.get(name)?.id.clone(), own));
        }
        let text = self.value(e, own.bits)?;
        let name = format!("{}_t{}", self.hint, self.nets.len() + 1);
        self.nets.push(format!("wire {}{name} = {text};", range(own.bits, own.signed)));
        Ok((name, own))
    }

    fn amount(&mut self, e: &Expr) -> Result<String> {
        match constant(self.symbols, e) {
            Some(by) => Ok(by.to_string()),
            None => Ok(self.leaf(e)?.0),
        }
    }

    /// Constants as literals, or by their name where the width is their own.
    fn literal(&self, e: &Expr, bits: usize) -> Option<String> {
        match e {
            Expr::Const(value) => Some(number(*value, bits)),
            Expr::Signal(name) => {
                let symbol = self.symbols.get(name).ok()?;
                let value = symbol.value?;
                Some(if symbol.bits == bits { symbol.id.clone() } else { number(value, bits) })
            }
            _ => None,
        }
    }

    /// The shape that holds every value of `e`.
    pub fn shape(&self, e: &Expr) -> Result<Shape> {
        Ok(match e {
            Expr::Signal(name) => {
                let s = self.symbols.get(name)?;
                Shape { bits: s.bits, signed: s.signed, is_bool: s.is_bool }
            }
            Expr::Const(value) => shape(bits_of(*value), *value < 0),
            Expr::Not(x) => match self.shape(x)? {
                x if x.is_bool => BOOL,
                x => shape(x.bits + !x.signed as usize, true),
            },
            Expr::Neg(x) => shape(self.shape(x)?.bits + 1, true),
            Expr::Binary(op, l, r) => self.shape_of(*op, l, r)?,
        })
    }

    fn shape_of(&self, op: Op, left: &Expr, right: &Expr) -> Result<Shape> {
        let (l, r) = (self.shape(left)?, self.shape(right)?);
        let joint = join(l, r);
        Ok(match op {
            Op::Add => shape(joint.bits + 1, joint.signed),
            Op::Sub => shape(joint.bits + 1, true),
            Op::Mul => shape(l.bits + r.bits, joint.signed),
            Op::And | Op::Or | Op::Xor if l.is_bool && r.is_bool => BOOL,
            Op::And => match (l.signed, r.signed) {
                (true, true) => joint,
                (true, false) => r,
                (false, true) => l,
                (false, false) => shape(l.bits.min(r.bits), false),
            },
            Op::Or | Op::Xor => joint,
            Op::Shl => {
                let most = constant(self.symbols, right).unwrap_or((1 << r.bits.min(16)) - 1);
                shape(l.bits + most, l.signed)
            }
            Op::Shr => {
                let least = constant(self.symbols, right).unwrap_or(0);
                shape(l.bits.saturating_sub(least).max(1), l.signed)
            }
            _ => BOOL,
        })
    }
}

/// The value of a constant expression that is not negative.
fn constant(symbols: &Symbols, e: &Expr) -> Option<usize> {
    match e {
        Expr::Const(value) => usize::try_from(*value).ok(),
        Expr::Signal(name) => usize::try_from(symbols.get(name).ok()?.value?).ok(),
        _ => None,
    }
}

/// The shape that holds both.
fn join(l: Shape, r: Shape) -> Shape {
    let bits = |own: Shape, other: Shape| own.bits + (!own.signed && other.signed) as usize;
    Shape { bits: bits(l, r).max(bits(r, l)), signed: l.signed || r.signed, is_bool: l.is_bool && r.is_bool }
}

/// Fewest bits of a constant.
fn bits_of(value: i128) -> usize {
    let zeros =
        if value < 0 { (!value).leading_zeros() as usize - 1 } else { value.leading_zeros() as usize };
    (128 - zeros).max(1)
}

/// A `bool` as an integer of `bits` bits.
fn widened(bit: Text, bits: usize) -> Text {
    if bits == 1 { bit } else { padded(bit.text, 1, bits) }
}

fn padded(text: String, from: usize, to: usize) -> Text {
    closed(format!("{{{}'d0, {text}}}", to - from))
}

fn repeated(bit: &str, times: usize) -> String {
    if times == 1 { bit.into() } else { format!("{{{times}{{{bit}}}}}") }
}

/// `count` bits of `name` from bit `from`.
fn part(name: &str, bits: usize, from: usize, count: usize) -> String {
    match (from, count) {
        (0, n) if n == bits => name.into(),
        (_, 1) => format!("{name}[{from}]"),
        _ => format!("{name}[{}:{from}]", from + count - 1),
    }
}

/// A literal of exactly `bits` bits.
pub fn number(value: i128, bits: usize) -> String {
    let low = if bits < 127 { value & ((1 << bits) - 1) } else { value };
    format!("{bits}'d{low}")
}

/// Sign and range of a declaration, with a space behind.
pub fn range(bits: usize, signed: bool) -> String {
    let sign = if signed { "signed " } else { "" };
    if bits == 1 { sign.into() } else { format!("{sign}[{}:0] ", bits - 1) }
}

fn symbol(op: Op) -> &'static str {
    match op {
        Op::Add => "+",
        Op::Sub => "-",
        Op::Mul => "*",
        Op::And => "&",
        Op::Or => "|",
        Op::Xor => "^",
        Op::Shl => "<<",
        Op::Shr => ">>",
        Op::Eq => "==",
        Op::Ne => "!=",
        Op::Lt => "<",
        Op::Le => "<=",
        Op::Gt => ">",
        Op::Ge => ">=",
        Op::Both => "&&",
        Op::Either => "||",
    }
}
