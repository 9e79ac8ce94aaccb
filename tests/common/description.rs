//! Model files with another description.

use serde_json::Value;

/// The file `original` with its description changed; the tensors stay.
pub fn changed(original: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let size = u64::from_le_bytes(original[..8].try_into().unwrap()) as usize;
    let mut head: Value = serde_json::from_slice(&original[8..8 + size]).unwrap();
    let text = head["__metadata__"]["vgg2rtl"].as_str().unwrap();
    let mut description: Value = serde_json::from_str(text).unwrap();
    change(&mut description);
    head["__metadata__"]["vgg2rtl"] = description.to_string().into();
    let mut text = head.to_string();
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &original[8 + size..]].concat()
}
