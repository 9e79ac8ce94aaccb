//! As much of Python's pickle as a state dict needs, in protocol 2: what `torch.save` writes and `torch.load` takes with
//! `weights_only=True`. Opcodes: Python's `Lib/pickletools.py`.

use safetensors::Dtype;

/// A pickle under way.
pub struct Pickle {
    bytes: Vec<u8>,
}

impl Pickle {
    /// An empty one.
    pub fn new() -> Self {
        Self { bytes: vec![0x80, 2] } // PROTO
    }

    /// The finished pickle.
    pub fn end(mut self) -> Vec<u8> {
        self.bytes.push(b'.'); // STOP
        self.bytes
    }

    /// Begins a dict.
    pub fn dict(&mut self) {
        self.bytes.extend(b"}("); // EMPTY_DICT, MARK
    }

    /// Begins an `OrderedDict`.
    pub fn ordered_dict(&mut self) {
        self.global("collections", "OrderedDict");
        self.bytes.extend(b")R("); // EMPTY_TUPLE, REDUCE, MARK
    }

    /// Ends the dict that was begun last: keys and values stand between.
    pub fn end_dict(&mut self) {
        self.bytes.push(b'u'); // SETITEMS
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.bytes.push(b'X'); // BINUNICODE
        self.bytes.extend((text.len() as u32).to_le_bytes());
        self.bytes.extend(text.as_bytes());
    }

    /// A contiguous tensor, whose elements stand in storage `key`.
    pub fn tensor(&mut self, key: &str, dtype: Dtype, shape: &[usize]) {
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.bytes.extend(b"(("); // MARK of the arguments, MARK of the storage
        self.text("storage");
        self.global("torch", storage(dtype));
        self.text(key);
        self.text("cpu");
        self.number(shape.iter().product());
        self.bytes.extend(b"tQ"); // TUPLE, BINPERSID
        self.number(0); // offset
        self.numbers(shape);
        let stride = (0..shape.len()).map(|i| shape[i + 1..].iter().product());
        self.numbers(&stride.collect::<Vec<_>>());
        self.bytes.push(0x89); // NEWFALSE: requires_grad
        self.ordered_dict(); // hooks
        self.end_dict();
        self.bytes.extend(b"tR"); // TUPLE, REDUCE
    }

    fn global(&mut self, module: &str, name: &str) {
        self.bytes.extend(format!("c{module}\n{name}\n").as_bytes()); // GLOBAL
    }

    fn numbers(&mut self, numbers: &[usize]) {
        self.bytes.push(b'('); // MARK
        numbers.iter().for_each(|&n| self.number(n));
        self.bytes.push(b't'); // TUPLE
    }

    fn number(&mut self, number: usize) {
        match i32::try_from(number) {
            Ok(number) => {
                self.bytes.push(b'J'); // BININT
                self.bytes.extend(number.to_le_bytes());
            }
            Err(_) => {
                self.bytes.extend([0x8a, 9]); // LONG1 of 9 bytes, the last of them the sign
                self.bytes.extend((number as u64).to_le_bytes());
                self.bytes.push(0);
            }
        }
    }
}

/// PyTorch's class of a storage.
fn storage(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::I8 => "CharStorage",
        Dtype::I16 => "ShortStorage",
        Dtype::I32 => "IntStorage",
        Dtype::I64 => "LongStorage",
        _ => "FloatStorage",
    }
}
