//! What a pickle calls, and what these calls mean: tensors of PyTorch, arrays of numpy, dicts.

use super::machine::Machine;
use super::value::{Array, Storage, Tensor, Value, short};

/// Most dimensions of a tensor.
const MOST_SIZES: usize = 8;

impl Machine {
    /// `('storage', torch.FloatStorage, key, device, elements)`, in legacy files with
    /// `None` or `(key of the view, offset, elements)` behind them; `('module', class, …)` is the class.
    pub(super) fn persistent(&mut self) -> Option<()> {
        let id = self.pop()?;
        let parts = self.sequence(id)?.to_vec();
        if let [_, class, _, _] = parts[..] {
            self.push_again(class);
            return Some(());
        }
        let [_, kind, key, _, len, ref view @ ..] = parts[..] else { return None };
        let start = match view.first().and_then(|&v| self.sequence(v)) {
            Some(&[_, offset, _]) => self.size(offset)?,
            _ => 0,
        };
        let storage = match (self.at(kind), self.at(key), self.at(len)) {
            (Value::Global(kind), Value::Str(key), Value::Int(len)) if short(kind) && short(key) => Storage {
                kind: kind.rsplit('.').next().unwrap_or_default().into(),
                key: key.clone(),
                len: usize::try_from(*len).ok()?,
                start,
            },
            _ => return None,
        };
        self.push(Value::Storage(storage));
        Some(())
    }

    /// REDUCE and NEWOBJ.
    pub(super) fn call(&mut self) -> Option<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        self.apply(function, arguments)
    }

    fn apply(&mut self, function: usize, arguments: usize) -> Option<()> {
        let Value::Global(name) = self.at(function) else {
            self.push(Value::Opaque);
            return Some(());
        };
        let name = name.clone();
        let value = match name.as_str() {
            "collections.OrderedDict" | "builtins.dict" | "__builtin__.dict" | "collections.defaultdict" => {
                self.ordered_dict(arguments)
            }
            "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor" => {
                Value::Tensor(self.tensor(arguments)?)
            }
            "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state" => {
                self.push_again(*self.sequence(arguments)?.first()?);
                return Some(());
            }
            "torch._tensor._rebuild_from_type_v2" => {
                let [function, _, arguments, ..] = *self.sequence(arguments)? else { return None };
                let is_tensor =
                    matches!(self.at(function), Value::Global(f) if f.contains("._rebuild_tensor"));
                return if is_tensor { self.apply(function, arguments) } else { None };
            }
            "numpy.dtype" => self.dtype(arguments)?,
            _ if name.starts_with("numpy") && name.ends_with("multiarray._reconstruct") => {
                Value::Array(Array::default())
            }
            _ => Value::Object { class: name.chars().take(256).collect(), state: None },
        };
        self.push(value);
        Some(())
    }

    /// BUILD: the object's state.
    pub(super) fn build(&mut self) -> Option<()> {
        let (new, object) = (self.pop()?, self.last()?);
        let built = match self.at(object) {
            Value::Array(_) => Some(Value::Array(self.array(new)?)),
            Value::Dtype(code, _) => {
                let big = self
                    .sequence(new)?
                    .get(1)
                    .is_some_and(|&e| matches!(self.at(e), Value::Str(e) if e == ">"));
                Some(Value::Dtype(code.clone(), big))
            }
            Value::Object { class, .. } => Some(Value::Object { class: class.clone(), state: Some(new) }),
            _ => None,
        };
        if let Some(value) = built {
            self.arena[object] = value;
        }
        Some(())
    }

    /// `OrderedDict()` or Python 2's `OrderedDict([[key, value], …])`.
    fn ordered_dict(&self, arguments: usize) -> Value {
        let pairs = self.sequence(arguments).and_then(|a| self.sequence(*a.first()?)).unwrap_or_default();
        let pair = |&p: &usize| match self.sequence(p) {
            Some(&[k, v]) => Some((k, v)),
            _ => None,
        };
        Value::Dict(pairs.iter().filter_map(pair).collect())
    }

    /// `(storage, offset, size, stride, …)`.
    fn tensor(&self, arguments: usize) -> Option<Tensor> {
        let [storage, offset, sizes, strides, ..] = *self.sequence(arguments)? else { return None };
        let Value::Storage(storage) = self.at(storage) else { return None };
        let (offset, size, stride) = (self.size(offset)?, self.sizes(sizes)?, self.sizes(strides)?);
        Some(Tensor { storage: storage.clone(), offset, size, stride })
    }

    /// `dtype("f4", …)`.
    fn dtype(&self, arguments: usize) -> Option<Value> {
        match self.at(*self.sequence(arguments)?.first()?) {
            Value::Str(code) if code.len() <= 16 => Some(Value::Dtype(code.clone(), false)),
            _ => None,
        }
    }

    /// `(version, shape, dtype, is Fortran's order, data)`.
    fn array(&self, state: usize) -> Option<Array> {
        let [_, shape, dtype, fortran, data] = *self.sequence(state)? else { return None };
        let Value::Dtype(dtype, big_endian) = self.at(dtype) else { return None };
        let fortran = matches!(self.at(fortran), Value::Int(1));
        Some(Array {
            shape: self.sizes(shape)?,
            dtype: dtype.clone(),
            big_endian: *big_endian,
            fortran,
            data: Some(data),
        })
    }

    fn size(&self, index: usize) -> Option<usize> {
        match self.at(index) {
            Value::Int(i) => usize::try_from(*i).ok(),
            _ => None,
        }
    }

    fn sizes(&self, index: usize) -> Option<Vec<usize>> {
        let items = self.sequence(index).filter(|items| items.len() <= MOST_SIZES)?;
        items.iter().map(|&i| self.size(i)).collect()
    }

    fn sequence(&self, index: usize) -> Option<&[usize]> {
        match self.at(index) {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }
}
