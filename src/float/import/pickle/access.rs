//! Looking things up in a pickle that has been run.

use super::machine::Machine;
use super::value::Value;

impl Machine {
    /// Keys and values where `value` is a dict, else nothing.
    pub fn items(&self, value: &Value) -> Vec<(&Value, &Value)> {
        match value {
            Value::Dict(pairs) => pairs.iter().map(|&(k, v)| (self.at(k), self.at(v))).collect(),
            _ => vec![],
        }
    }

    /// The values of a sequence, else nothing.
    pub fn elements(&self, value: &Value) -> Vec<&Value> {
        match value {
            Value::Sequence(items) => items.iter().map(|&i| self.at(i)).collect(),
            _ => vec![],
        }
    }

    /// The value under the text key `key` of a dict.
    pub fn get(&self, value: &Value, key: &str) -> Option<&Value> {
        let found = self.items(value).into_iter().rev().find(|(k, _)| matches!(k, Value::Str(k) if k == key));
        found.map(|(_, v)| v)
    }
}
