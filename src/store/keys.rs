//! Keys of a description that nobody reads.

use serde_json::Value;

/// Where `found` has a key that `known`, the same value after a round trip through its type, lacks; as
/// `layers[2].weight_bit`. A key whose value is null says nothing and is never named.
pub fn unknown(found: &Value, known: &Value) -> Option<String> {
    match (found, known) {
        (Value::Object(found), Value::Object(known)) => {
            found.iter().find_map(|(key, value)| match (known.get(key), value.is_null()) {
                (None, false) => Some(key.clone()),
                (None, true) => None,
                (Some(inner), _) => unknown(value, inner).map(|at| join(key, &at)),
            })
        }
        (Value::Array(found), Value::Array(known)) => {
            let pairs = found.iter().zip(known).enumerate();
            pairs.filter_map(|(i, (f, k))| unknown(f, k).map(|at| join(&format!("[{i}]"), &at))).next()
        }
        _ => None,
    }
}

fn join(outer: &str, inner: &str) -> String {
    if inner.starts_with('[') { format!("{outer}{inner}") } else { format!("{outer}.{inner}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_unknown_key_is_named_with_its_place() {
        let known = json!({ "a": 1, "layers": [{ "b": 2 }, { "b": 3 }] });
        assert_eq!(unknown(&known, &known), None);
        assert_eq!(unknown(&json!({ "a": 1, "x": null }), &known), None);
        assert_eq!(unknown(&json!({ "a": 1, "x": 0 }), &known).unwrap(), "x");
        let nested = json!({ "layers": [{ "b": 2 }, { "b": 3, "c": {} }] });
        assert_eq!(unknown(&nested, &known).unwrap(), "layers[1].c");
    }
}
