//! The pickle machine: a stack, a memo, and an arena of values.

use super::input::{Input, two_s_complement};
use super::value::{LONGEST_NAME, Value};
use std::collections::HashMap;

/// The pickle machine after its run.
pub struct Machine {
    pub(super) arena: Vec<Value>,
    stack: Vec<usize>,
    marks: Vec<usize>,
    memo: HashMap<usize, usize>,
    /// Bytes of the pickle.
    len: usize,
}

const STOP: u8 = b'.';

impl Machine {
    /// Runs the pickle at the start of `bytes` to its end.
    pub fn run(bytes: &[u8]) -> Result<Self, String> {
        let mut machine = Self { arena: vec![], stack: vec![], marks: vec![], memo: HashMap::new(), len: 0 };
        let mut input = Input { bytes, at: 0 };
        loop {
            let (at, opcode) = (input.at, input.byte().ok_or("the pickle is cut short")?);
            if opcode == STOP {
                break;
            }
            let done = machine.step(opcode, &mut input);
            done.ok_or_else(|| format!("pickle opcode {opcode:#04x} at byte {at} cannot be read"))?;
        }
        machine.len = input.at;
        if machine.stack.is_empty() { Err("the pickle holds nothing".into()) } else { Ok(machine) }
    }

    /// The pickled value.
    pub fn top(&self) -> &Value {
        self.at(self.top_index())
    }

    /// Index of the pickled value.
    pub fn top_index(&self) -> usize {
        *self.stack.last().expect("run checks that there is one")
    }

    /// The value with this index.
    pub fn at(&self, index: usize) -> &Value {
        &self.arena[index]
    }

    /// Every value that was made on the way.
    pub fn values(&self) -> &[Value] {
        &self.arena
    }

    /// Bytes that the pickle takes.
    pub fn consumed(&self) -> usize {
        self.len
    }

    /// One opcode; `None` where it or its operands make no sense.
    fn step(&mut self, opcode: u8, input: &mut Input) -> Option<()> {
        match opcode {
            0x80 => drop(input.byte()?),  // PROTO
            0x95 => drop(input.take(8)?), // FRAME
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),         // POP
            b'1' => drop(self.pop_to_mark()?), // POP_MARK
            b'2' => self.stack.push(*self.stack.last()?),
            b'q' => self.memoize(input.unsigned(1)?)?,
            b'r' => self.memoize(input.unsigned(4)?)?,
            b'p' => self.memoize(input.line()?.parse().ok()?)?,
            0x94 => self.memoize(self.memo.len())?,
            b'h' => self.recall(input.unsigned(1)?)?,
            b'j' => self.recall(input.unsigned(4)?)?,
            b'g' => self.recall(input.line()?.parse().ok()?)?,
            b')' | b']' | 0x8f => self.push(Value::Sequence(vec![])),
            b'}' => self.push(Value::Dict(vec![])),
            b't' | b'l' | 0x91 => self.gather_marked()?,
            b'd' => {
                self.arena.push(Value::Dict(vec![]));
                let items = self.pop_to_mark()?;
                self.stack.push(self.arena.len() - 1);
                self.insert(&items)?;
            }
            0x85..=0x87 => self.tuple((opcode - 0x84).into())?,
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.extend(items)?;
            }
            b's' => {
                let (v, k) = (self.pop()?, self.pop()?);
                self.insert(&[k, v])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.insert(&items)?;
            }
            b'c' => {
                let global = format!("{}.{}", input.line()?, input.line()?);
                self.push(Value::Global(global));
            }
            0x93 => self.stack_global()?,
            b'Q' => self.persistent()?,
            b'R' | 0x81 => self.call()?,
            0x92 => {
                self.pop()?; // NEWOBJ_EX: its keywords
                self.call()?;
            }
            b'b' => self.build()?,
            _ => {
                let value = literal(opcode, input)?;
                self.push(value);
            }
        }
        Some(())
    }

    pub(super) fn push(&mut self, value: Value) {
        self.arena.push(value);
        self.stack.push(self.arena.len() - 1);
    }

    /// Pushes a value that exists.
    pub(super) fn push_again(&mut self, index: usize) {
        self.stack.push(index);
    }

    /// Index of the value on top.
    pub(super) fn last(&self) -> Option<usize> {
        self.stack.last().copied()
    }

    /// Pops above the last mark only.
    pub(super) fn pop(&mut self) -> Option<usize> {
        let floor = self.marks.last().copied().unwrap_or(0);
        (self.stack.len() > floor).then(|| self.stack.pop()).flatten()
    }

    fn pop_to_mark(&mut self) -> Option<Vec<usize>> {
        let mark = self.marks.pop()?;
        Some(self.stack.split_off(mark))
    }

    fn memoize(&mut self, key: usize) -> Option<()> {
        self.memo.insert(key, *self.stack.last()?);
        Some(())
    }

    fn recall(&mut self, key: usize) -> Option<()> {
        self.stack.push(*self.memo.get(&key)?);
        Some(())
    }

    fn gather_marked(&mut self) -> Option<()> {
        let items = self.pop_to_mark()?;
        self.push(Value::Sequence(items));
        Some(())
    }

    fn tuple(&mut self, len: usize) -> Option<()> {
        let mut items = (0..len).map(|_| self.pop()).collect::<Option<Vec<_>>>()?;
        items.reverse();
        self.push(Value::Sequence(items));
        Some(())
    }

    fn extend(&mut self, items: Vec<usize>) -> Option<()> {
        match &mut self.arena[*self.stack.last()?] {
            Value::Sequence(list) => list.extend(items),
            Value::Opaque | Value::Object { .. } => {}
            _ => return None,
        }
        Some(())
    }

    /// Keys and values in turn, into the dict on top.
    fn insert(&mut self, items: &[usize]) -> Option<()> {
        match &mut self.arena[*self.stack.last()?] {
            Value::Dict(dict) => dict.extend(items.as_chunks::<2>().0.iter().map(|p| (p[0], p[1]))),
            Value::Opaque | Value::Object { .. } => {}
            _ => return None,
        }
        Some(())
    }

    fn stack_global(&mut self) -> Option<()> {
        let (name, module) = (self.pop()?, self.pop()?);
        let global = match (&self.arena[module], &self.arena[name]) {
            (Value::Str(module), Value::Str(name)) => format!("{module}.{name}"),
            _ => return None,
        };
        self.push(Value::Global(global));
        Some(())
    }
}

/// A value that stands in the pickle as it is.
fn literal(opcode: u8, input: &mut Input) -> Option<Value> {
    Some(match opcode {
        b'N' => Value::Opaque,
        b'G' => Value::Float(f64::from_be_bytes(input.take(8)?.try_into().ok()?)),
        b'F' => Value::Float(input.line()?.parse().ok()?),
        0x88 => Value::Int(1),
        0x89 => Value::Int(0),
        b'I' | b'L' => Value::Int(input.line()?.trim_end_matches('L').parse().ok()?),
        b'J' => Value::Int(two_s_complement(input.take(4)?)),
        b'K' => Value::Int(input.byte()?.into()),
        b'M' => Value::Int(input.unsigned(2)? as i64),
        0x8a => {
            let len = input.unsigned(1)?;
            Value::Int(two_s_complement(input.take(len)?))
        }
        0x8b => {
            let len = input.unsigned(4)?;
            Value::Int(two_s_complement(input.take(len)?))
        }
        b'S' => Value::Str(input.line()?.trim_matches(['\'', '"']).into()),
        b'V' => Value::Str(input.line()?.into()),
        b'X' => text(4, input)?,
        0x8c => text(1, input)?,
        0x8d => text(8, input)?,
        b'T' => text_or_bytes(4, input)?,
        b'U' => text_or_bytes(1, input)?,
        b'B' => bytes(4, input)?,
        b'C' => bytes(1, input)?,
        0x8e | 0x96 => bytes(8, input)?,
        _ => return None,
    })
}

/// Text behind its length of `size` bytes.
fn text(size: usize, input: &mut Input) -> Option<Value> {
    let len = input.unsigned(size)?;
    Some(Value::Str(std::str::from_utf8(input.take(len)?).ok()?.into()))
}

fn bytes(size: usize, input: &mut Input) -> Option<Value> {
    let len = input.unsigned(size)?;
    let start = input.at;
    input.take(len)?;
    Some(Value::Bytes(start..input.at))
}

/// Python 2's str: a name, or data.
fn text_or_bytes(size: usize, input: &mut Input) -> Option<Value> {
    let Value::Bytes(range) = bytes(size, input)? else { return None };
    Some(match std::str::from_utf8(&input.bytes[range.clone()]) {
        Ok(text) if range.len() <= LONGEST_NAME => Value::Str(text.into()),
        _ => Value::Bytes(range),
    })
}
