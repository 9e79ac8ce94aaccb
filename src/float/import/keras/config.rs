//! A Keras configuration as a list of layers, models inside models laid out flat.

use serde_json::Value;

/// A layer as its configuration says.
pub struct Layer<'a> {
    /// Its Python class, such as `Conv2D`.
    pub class: &'a str,
    /// Its name, unique in its model.
    pub name: &'a str,
    /// Its parameters.
    pub config: &'a Value,
    /// The outermost layer around it; itself where there is none.
    pub outermost: &'a str,
    /// Its group in a `.weights.h5` that does not name layers: the class in snake case, counted within its model.
    pub path: String,
    /// The layer whose output it reads, unless that is the one before it in the list.
    pub input: Option<&'a str>,
    /// Names that stand for its output: models that end in it.
    pub aliases: Vec<&'a str>,
}

/// How deep models may be nested.
const DEEPEST: usize = 8;
const MODELS: [&str; 3] = ["Sequential", "Functional", "Model"];

/// The layers of the model in `json`, in the order of the file, and the one that makes its output.
pub fn layers(json: &Value) -> Result<(Vec<Layer<'_>>, &str), String> {
    let mut list: Vec<Layer> = vec![];
    let output = model(json, "", None, &mut list, 0)?;
    let mut seen = std::collections::HashSet::new();
    let twice =
        list.iter().flat_map(|l| l.aliases.iter().chain([&l.name]).copied()).find(|name| !seen.insert(*name));
    match twice {
        Some(name) => Err(format!("two of its layers are called {name}")),
        None => Ok((list, output)),
    }
}

/// Adds the layers of a model to `list`; the name of the one that makes its output.
fn model<'a>(
    json: &'a Value,
    path: &str,
    outermost: Option<&'a str>,
    list: &mut Vec<Layer<'a>>,
    depth: usize,
) -> Result<&'a str, String> {
    let class = json["class_name"].as_str().unwrap_or("?");
    if !MODELS.contains(&class) || depth > DEEPEST {
        return Err(format!("its configuration is of a {class}; Sequential and Functional models are read"));
    }
    // Before Keras 2.2.3 a Sequential's configuration was the list itself.
    let layers = json["config"]["layers"].as_array().or(json["config"].as_array());
    let mut counts = std::collections::HashMap::new();
    for layer in layers.ok_or("its configuration has no layers")? {
        let class = layer["class_name"].as_str().ok_or("a layer without class_name")?;
        let config = &layer["config"];
        let name = config["name"].as_str().or(layer["name"].as_str()).ok_or("a layer without a name")?;
        let snake = snake_case(class);
        let count = counts.entry(snake.clone()).or_insert(0);
        let own = if *count == 0 { snake } else { format!("{snake}_{count}") };
        *count += 1;
        let path = format!("{path}layers/{own}");
        let reads = source(&layer["inbound_nodes"]).map_err(|e| format!("layer {name}: {e}"))?;
        let outermost = outermost.unwrap_or(name);
        if !MODELS.contains(&class) {
            list.push(Layer { class, name, config, outermost, path, input: reads, aliases: vec![] });
            continue;
        }
        let first = list.len();
        let output = model(layer, &format!("{path}/"), Some(outermost), list, depth + 1)?;
        splice(list, first, reads);
        let last = list[first..].iter_mut().find(|l| l.name == output || l.aliases.contains(&output));
        last.ok_or_else(|| format!("model {name} ends in its input"))?.aliases.push(name);
    }
    match json["config"]["output_layers"].as_array().map(Vec::as_slice) {
        None => list.last().map(|l| l.name).ok_or("its configuration has no layers".into()),
        Some(outputs) => output(outputs).ok_or("it has several outputs; only one is supported".into()),
    }
}

/// The layer of `[["name", 0, 0]]`, or `["name", 0, 0]`.
fn output(outputs: &[Value]) -> Option<&str> {
    match outputs {
        [Value::String(name), ..] => Some(name),
        [one] => one[0].as_str(),
        _ => None,
    }
}

/// A model inside a model reads what the layer before it makes: its own input goes, if there is anything before it.
fn splice<'a>(list: &mut Vec<Layer<'a>>, first: usize, reads: Option<&'a str>) {
    let is_input = |l: &Layer| l.class == "InputLayer";
    if !list[..first].iter().any(is_input) {
        return;
    }
    let before = reads.or(list[..first].last().map(|l| l.name));
    if list.get(first).is_some_and(is_input) {
        let inner = list.remove(first).name;
        for layer in list[first..].iter_mut().filter(|l| l.input == Some(inner)) {
            layer.input = before;
        }
    }
    if let Some(layer) = list.get_mut(first) {
        layer.input = layer.input.or(before);
    }
}

/// The one layer that `inbound_nodes` names: `[[["name", 0, 0, {}]]]` in Keras 2, tensors with a `keras_history` in Keras 3.
fn source(nodes: &Value) -> Result<Option<&str>, String> {
    let Some(calls) = nodes.as_array().filter(|calls| !calls.is_empty()) else { return Ok(None) };
    if calls.len() > 1 {
        return Err("is used in several places; only chains of layers are supported".into());
    }
    let tensors = if calls[0].is_object() { &calls[0]["args"] } else { &calls[0] };
    let several = || "joins branches; only chains of layers are supported".to_string();
    match tensors.as_array().map(Vec::as_slice) {
        Some([one]) if one.is_object() => Ok(one["config"]["keras_history"][0].as_str()),
        Some([one]) => match one.as_array().map(Vec::as_slice) {
            Some([Value::String(name), ..]) => Ok(Some(name)),
            _ => Err(several()),
        },
        _ => Err(several()),
    }
}

/// `Conv2D` as `conv2d`, `BatchNormalization` as `batch_normalization`, `ReLU` as `re_lu`: Keras's own rule.
fn snake_case(class: &str) -> String {
    let mut out = String::new();
    let letters: Vec<char> = class.chars().collect();
    for (i, &c) in letters.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| letters[i]);
        let lower_next = letters.get(i + 1).is_some_and(char::is_ascii_lowercase);
        let starts = c.is_ascii_uppercase()
            && before.is_some_and(|b| b.is_ascii_lowercase() || (b.is_ascii_uppercase() && lower_next));
        if starts {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Group names that Keras 3.15 wrote.
    #[test]
    fn classes_in_snake_case() {
        let table = [
            ("Conv2D", "conv2d"),
            ("BatchNormalization", "batch_normalization"),
            ("ReLU", "re_lu"),
            ("MaxPooling2D", "max_pooling2d"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("Dense", "dense"),
        ];
        for (class, want) in table {
            assert_eq!(snake_case(class), want);
        }
    }
}
