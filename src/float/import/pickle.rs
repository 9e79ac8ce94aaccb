//! As much of Python's pickle as `torch.save` of a state dict uses, executing nothing: calls of anything but the
//! few functions that rebuild tensors and dicts become [`Value::Opaque`].
//!
//! Opcodes: Python's `Lib/pickletools.py`. Values lie in one arena, so that no nesting can overflow the stack.

/// A pickled value; containers hold indices into the machine's arena.
#[derive(Clone, Debug)]
pub enum Value {
    /// `None`, and whatever does not matter here: objects, bytes, floats.
    Opaque,
    /// An integer; booleans are 0 and 1.
    Int(i64),
    /// A string.
    Str(String),
    /// A tuple or a list.
    Sequence(Vec<usize>),
    /// Keys and values.
    Dict(Vec<(usize, usize)>),
    /// `module.name`.
    Global(String),
    /// Where a tensor's elements lie.
    Storage(Storage),
    /// A tensor.
    Tensor(Tensor),
}

/// A storage: an entry of the zip.
#[derive(Clone, Debug)]
pub struct Storage {
    /// For example `FloatStorage`.
    pub kind: String,
    /// Name of the entry.
    pub key: String,
    /// Elements.
    pub len: usize,
}

/// A strided view of a storage.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its storage.
    pub storage: Storage,
    /// First element.
    pub offset: usize,
    /// Sizes, outermost first.
    pub size: Vec<usize>,
    /// Elements from one index to the next, for each size.
    pub stride: Vec<usize>,
}

/// The pickle machine after its run.
pub struct Machine {
    arena: Vec<Value>,
    stack: Vec<usize>,
    marks: Vec<usize>,
    memo: std::collections::HashMap<u32, usize>,
}

const STOP: u8 = b'.';
/// Most dimensions of a tensor.
const MOST_SIZES: usize = 8;

impl Machine {
    /// Runs a pickle to its end.
    pub fn run(pickle: &[u8]) -> Result<Self, String> {
        let mut machine = Self { arena: vec![], stack: vec![], marks: vec![], memo: Default::default() };
        let mut input = Input { bytes: pickle, at: 0 };
        loop {
            let (at, opcode) = (input.at, input.byte().ok_or("data.pkl is cut short")?);
            if opcode == STOP {
                break;
            }
            let done = machine.step(opcode, &mut input);
            done.ok_or_else(|| format!("data.pkl: opcode {opcode:#04x} at byte {at} cannot be read"))?;
        }
        if machine.stack.is_empty() { Err("data.pkl holds nothing".into()) } else { Ok(machine) }
    }

    /// The pickled value.
    pub fn top(&self) -> &Value {
        &self.arena[*self.stack.last().expect("run checks that there is one")]
    }

    /// Keys and values where `value` is a dict, else nothing.
    pub fn items(&self, value: &Value) -> Vec<(&Value, &Value)> {
        match value {
            Value::Dict(pairs) => pairs.iter().map(|&(k, v)| (&self.arena[k], &self.arena[v])).collect(),
            _ => vec![],
        }
    }

    /// One opcode; `None` where it or its operands make no sense.
    fn step(&mut self, opcode: u8, input: &mut Input) -> Option<()> {
        match opcode {
            0x80 => drop(input.byte()?),  // PROTO
            0x95 => drop(input.take(8)?), // FRAME
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),         // POP
            b'1' => drop(self.pop_to_mark()?), // POP_MARK
            b'q' => self.memoize(input.byte()?.into())?,
            b'r' => self.memoize(input.u32()?)?,
            0x94 => self.memoize(self.memo.len() as u32)?,
            b'h' => self.recall(input.byte()?.into())?,
            b'j' => self.recall(input.u32()?)?,
            b'N' => self.push(Value::Opaque),
            b'G' => {
                input.take(8)?; // BINFLOAT
                self.push(Value::Opaque);
            }
            0x88 => self.push(Value::Int(1)),
            0x89 => self.push(Value::Int(0)),
            b'J' => self.push(Value::Int(input.u32()? as i32 as i64)),
            b'K' => self.push(Value::Int(input.byte()?.into())),
            b'M' => self.push(Value::Int(input.u16()?.into())),
            0x8a => {
                let len = input.byte()?;
                self.push(Value::Int(little_endian(input.take(len.into())?)?));
            }
            b'X' | b'T' => self.string(input.u32()? as usize, input)?,
            0x8c | b'U' => self.string(input.byte()?.into(), input)?,
            b'B' => self.bytes(input.u32()? as usize, input)?,
            b'C' => self.bytes(input.byte()?.into(), input)?,
            b')' | b']' => self.push(Value::Sequence(vec![])),
            b'}' | 0x8f => self.push(Value::Dict(vec![])),
            b't' | b'l' => self.gather_marked()?,
            0x85..=0x87 => self.tuple((opcode - 0x84).into())?,
            b'a' => self.append(1)?,
            b'e' => self.append_marked()?,
            b's' => self.set_item()?,
            b'u' => self.set_items()?,
            b'c' => {
                let global = format!("{}.{}", input.line()?, input.line()?);
                self.push(Value::Global(global));
            }
            0x93 => self.stack_global()?,
            b'Q' => self.persistent()?,
            b'R' | 0x81 => self.call()?,
            b'b' => drop(self.pop()?), // BUILD: the object keeps what it is
            _ => return None,
        }
        Some(())
    }

    fn push(&mut self, value: Value) {
        self.arena.push(value);
        self.stack.push(self.arena.len() - 1);
    }

    /// Pops above the last mark only.
    fn pop(&mut self) -> Option<usize> {
        let floor = self.marks.last().copied().unwrap_or(0);
        (self.stack.len() > floor).then(|| self.stack.pop()).flatten()
    }

    fn pop_to_mark(&mut self) -> Option<Vec<usize>> {
        let mark = self.marks.pop()?;
        Some(self.stack.split_off(mark))
    }

    fn memoize(&mut self, key: u32) -> Option<()> {
        self.memo.insert(key, *self.stack.last()?);
        Some(())
    }

    fn recall(&mut self, key: u32) -> Option<()> {
        self.stack.push(*self.memo.get(&key)?);
        Some(())
    }

    fn string(&mut self, len: usize, input: &mut Input) -> Option<()> {
        let text = std::str::from_utf8(input.take(len)?).ok()?.to_string();
        self.push(Value::Str(text));
        Some(())
    }

    fn bytes(&mut self, len: usize, input: &mut Input) -> Option<()> {
        input.take(len)?;
        self.push(Value::Opaque);
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

    fn append(&mut self, len: usize) -> Option<()> {
        let items = (0..len).map(|_| self.pop()).collect::<Option<Vec<_>>>()?;
        self.extend(items)
    }

    fn append_marked(&mut self) -> Option<()> {
        let items = self.pop_to_mark()?;
        self.extend(items)
    }

    fn extend(&mut self, items: Vec<usize>) -> Option<()> {
        match &mut self.arena[*self.stack.last()?] {
            Value::Sequence(list) => list.extend(items),
            Value::Opaque => {}
            _ => return None,
        }
        Some(())
    }

    fn set_item(&mut self) -> Option<()> {
        let (v, k) = (self.pop()?, self.pop()?);
        self.insert([(k, v)].into())
    }

    fn set_items(&mut self) -> Option<()> {
        let items = self.pop_to_mark()?;
        self.insert(items.chunks_exact(2).map(|p| (p[0], p[1])).collect())
    }

    fn insert(&mut self, pairs: Vec<(usize, usize)>) -> Option<()> {
        match &mut self.arena[*self.stack.last()?] {
            Value::Dict(dict) => dict.extend(pairs),
            Value::Opaque => {}
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

    /// `('storage', torch.FloatStorage, key, device, elements)`.
    fn persistent(&mut self) -> Option<()> {
        let id = self.pop()?;
        let [_, kind, key, _, len] = *self.sequence(id)? else { return None };
        let storage = match (&self.arena[kind], &self.arena[key], &self.arena[len]) {
            (Value::Global(kind), Value::Str(key), Value::Int(len)) if short(kind) && short(key) => Storage {
                kind: kind.rsplit('.').next().unwrap_or_default().into(),
                key: key.clone(),
                len: usize::try_from(*len).ok()?,
            },
            _ => return None,
        };
        self.push(Value::Storage(storage));
        Some(())
    }

    fn call(&mut self) -> Option<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let function = match &self.arena[function] {
            Value::Global(name) => name.as_str(),
            _ => "",
        };
        match function {
            "collections.OrderedDict" => self.push(Value::Dict(vec![])),
            "torch._utils._rebuild_tensor_v2" => self.push(Value::Tensor(self.tensor(arguments)?)),
            "torch._utils._rebuild_parameter" => self.stack.push(*self.sequence(arguments)?.first()?),
            _ => self.push(Value::Opaque),
        }
        Some(())
    }

    /// `(storage, offset, size, stride, …)`.
    fn tensor(&self, arguments: usize) -> Option<Tensor> {
        let [storage, offset, sizes, strides, ..] = *self.sequence(arguments)? else { return None };
        let Value::Storage(storage) = &self.arena[storage] else { return None };
        let (offset, size, stride) = (size(&self.arena[offset])?, self.sizes(sizes)?, self.sizes(strides)?);
        Some(Tensor { storage: storage.clone(), offset, size, stride })
    }

    fn sizes(&self, id: usize) -> Option<Vec<usize>> {
        let items = self.sequence(id).filter(|items| items.len() <= MOST_SIZES)?;
        items.iter().map(|&i| size(&self.arena[i])).collect()
    }

    fn sequence(&self, id: usize) -> Option<&[usize]> {
        match &self.arena[id] {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }
}

/// Whether a name may be copied; a file could otherwise repeat one huge string without end.
pub fn short(name: &str) -> bool {
    name.len() <= 1024
}

fn size(value: &Value) -> Option<usize> {
    match value {
        Value::Int(i) => usize::try_from(*i).ok(),
        _ => None,
    }
}

/// Two's complement of up to 8 bytes.
fn little_endian(bytes: &[u8]) -> Option<i64> {
    if bytes.len() > 8 {
        return None;
    }
    let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
    let mut all = [if negative { 0xff } else { 0 }; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    Some(i64::from_le_bytes(all))
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let bytes = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    /// Text up to a line feed, which is consumed.
    fn line(&mut self) -> Option<&'a str> {
        let rest = self.bytes.get(self.at..)?;
        let len = rest.iter().position(|&b| b == b'\n')?;
        let line = std::str::from_utf8(self.take(len)?).ok();
        self.take(1)?;
        line
    }
}
