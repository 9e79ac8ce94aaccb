//! A Keras model as the ONNX graph that computes the same, node by node: one reader of graphs then serves both.
//!
//! As in tf2onnx's exports the image comes in channels last, is turned once, and is turned back before a Flatten.

use super::config::Layer;
use super::weights::{Place, Weights};
use crate::float::import::npy::Array;
use crate::float::import::onnx::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use serde_json::Value;

type Outcome<T = ()> = Result<T, String>;

/// Layers that do nothing outside of training.
const TRAINING_ONLY: [&str; 16] = [
    "Dropout",
    "SpatialDropout2D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "ActivityRegularization",
    "RandomFlip",
    "RandomRotation",
    "RandomZoom",
    "RandomTranslation",
    "RandomContrast",
    "RandomBrightness",
    "RandomHeight",
    "RandomWidth",
    "RandomShear",
    "RandomErasing",
];

/// The graph of `layers`, whose output the layer `output` makes.
pub fn graph(layers: &[Layer], output: &str, weights: &mut Weights) -> Outcome<GraphProto> {
    let mut translator =
        Translator { graph: GraphProto::default(), weights, maps: true, layer: String::new() };
    let mut value = translator.input(layers)?;
    let mut names = std::collections::HashMap::new();
    for layer in layers {
        let source = layer.input.map_or(Some(&value), |name| names.get(name));
        let source = source.ok_or_else(|| format!("layer {}: nothing makes its input", layer.name))?;
        translator.layer = layer.name.into();
        let made = translator.layer(layer, &source.clone());
        value = made.map_err(|reason| format!("layer {} ({}): {reason}", layer.name, layer.class))?;
        for name in layer.aliases.iter().chain([&layer.name]) {
            names.insert(*name, value.clone());
        }
    }
    let Translator { mut graph, .. } = translator;
    let value = names.get(output).ok_or_else(|| format!("no layer is called {output}, its output"))?;
    graph.output = vec![ValueInfoProto::floats(value, &[])];
    Ok(graph)
}

struct Translator<'a> {
    graph: GraphProto,
    weights: &'a mut Weights,
    /// Whether the current value is a map, not a vector.
    maps: bool,
    /// Name of the current layer, which its nodes take.
    layer: String,
}

impl Translator<'_> {
    /// The graph's input, of the shape that an InputLayer or the first layer says; returns it with channels first.
    fn input(&mut self, layers: &[Layer]) -> Outcome<String> {
        let first = layers.first().ok_or("its configuration has no layers")?;
        let said =
            ["batch_shape", "batch_input_shape"].into_iter().find_map(|key| first.config[key].as_array());
        let sizes: Vec<Option<usize>> = match said {
            Some(sizes) => sizes.iter().map(|s| s.as_u64().and_then(|s| usize::try_from(s).ok())).collect(),
            None => vec![None; 4],
        };
        let &[_, h, w, c] = &sizes[..] else {
            return Err(format!(
                "its input has {} dimensions, must be (batch, rows, columns, channels)",
                sizes.len()
            ));
        };
        self.graph.input = vec![ValueInfoProto::floats("x", &[None, h, w, c])];
        let last_to_first = AttributeProto::ints("perm", &[0, 3, 1, 2]);
        Ok(self.node("Transpose", &["x"], "x/channels_first", vec![last_to_first]))
    }

    /// The value that the layer makes of `x`.
    fn layer(&mut self, layer: &Layer, x: &str) -> Outcome<String> {
        let (name, config) = (layer.name, layer.config);
        if config["data_format"] == "channels_first" {
            return Err("has data_format channels_first; export the model as ONNX".into());
        }
        Ok(match layer.class {
            "InputLayer" => x.into(),
            class if TRAINING_ONLY.contains(&class) => self.node("Identity", &[x], name, vec![]),
            "Conv2D" | "Convolution2D" => self.conv(layer, x)?,
            "Dense" => self.dense(layer, x)?,
            "BatchNormalization" | "BatchNormalizationV1" => self.batch_norm(layer, x)?,
            "Activation" => self.activation(config, x, name)?,
            "ReLU" => self.relu(config, x, name)?,
            "LeakyReLU" => self.node("LeakyRelu", &[x], name, vec![]),
            "Softmax" => self.node("Softmax", &[x], name, vec![AttributeProto::int("axis", -1)]),
            "MaxPooling2D" => self.pool("MaxPool", config, x, name)?,
            "AveragePooling2D" => self.pool("AveragePool", config, x, name)?,
            "GlobalAveragePooling2D" => self.global_pool("GlobalAveragePool", config, x, name),
            "GlobalMaxPooling2D" => self.global_pool("GlobalMaxPool", config, x, name),
            "ZeroPadding2D" => self.padding(config, x, name)?,
            "Flatten" => self.flatten(x, name),
            "Rescaling" => self.rescaling(config, x, name)?,
            _ => return Err("is not supported".into()),
        })
    }

    fn node(&mut self, op: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeProto>) -> String {
        let node = NodeProto::new(op, inputs, output, attributes);
        self.graph.node.push(NodeProto { name: self.layer.clone(), ..node });
        output.into()
    }

    fn constant(&mut self, name: String, dims: &[usize], values: Vec<f32>) -> String {
        self.graph.initializer.push(TensorProto::floats(&name, dims, values));
        name
    }

    /// The layer's weights as constants, in the order of `parts`.
    fn constants(&mut self, layer: &Layer, parts: &[&str]) -> Outcome<Vec<String>> {
        let place = Place { layer: layer.name, outermost: layer.outermost, path: &layer.path };
        let mut found = self.weights.take(&place)?;
        if found.len() != parts.len() {
            let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            return Err(format!("the file has the weights {names:?} where {parts:?} are needed"));
        }
        let numbered = found.iter().all(|(part, _)| part.parse::<usize>().is_ok());
        let mut constants = vec![];
        for part in parts {
            let at = if numbered { Some(0) } else { found.iter().position(|(name, _)| is_part(name, part)) };
            let at = at.ok_or_else(|| format!("the file has no weight {part}"))?;
            let Array { shape, values } = found.remove(at).1;
            constants.push(self.constant(format!("{}/{part}", layer.name), &shape, values));
        }
        Ok(constants)
    }

    fn conv(&mut self, layer: &Layer, x: &str) -> Outcome<String> {
        let (name, config) = (layer.name, layer.config);
        let mut inputs = vec![x.to_string()];
        inputs.extend(self.constants(layer, &kernel_and_bias(config))?);
        // (rows, columns, inputs, outputs) to (outputs, inputs, rows, columns)
        let turn = AttributeProto::ints("perm", &[3, 2, 0, 1]);
        inputs[1] = self.node("Transpose", &[&inputs[1]], &format!("{name}/kernel_turned"), vec![turn]);
        let mut attributes = windows(config, "kernel_size")?;
        attributes.push(AttributeProto::ints("dilations", &pair(&config["dilation_rate"]).unwrap_or([1, 1])));
        attributes.push(AttributeProto::int("group", config["groups"].as_i64().unwrap_or(1)));
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let sums = self.node("Conv", &inputs, &format!("{name}/sums"), attributes);
        self.activation(config, &sums, name)
    }

    fn dense(&mut self, layer: &Layer, x: &str) -> Outcome<String> {
        let (name, config) = (layer.name, layer.config);
        let mut inputs = vec![x.to_string()];
        inputs.extend(self.constants(layer, &kernel_and_bias(config))?);
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let sums = self.node("Gemm", &inputs, &format!("{name}/sums"), vec![]);
        self.activation(config, &sums, name)
    }

    fn batch_norm(&mut self, layer: &Layer, x: &str) -> Outcome<String> {
        let (name, config) = (layer.name, layer.config);
        let axis = config["axis"].as_i64().or(config["axis"][0].as_i64()).unwrap_or(-1);
        if axis != -1 && axis != if self.maps { 3 } else { 1 } {
            return Err(format!("normalises axis {axis}, must be the channels'"));
        }
        let eps = config["epsilon"].as_f64().ok_or("its configuration has no epsilon")?;
        let has = |key: &str| config[key] != false;
        let mut parts = vec!["moving_mean", "moving_variance"];
        if has("center") {
            parts.insert(0, "beta");
        }
        if has("scale") {
            parts.insert(0, "gamma");
        }
        let mut constants = self.constants(layer, &parts)?;
        let channels = self.graph.initializer.last().map_or(0, |t| t.float_data.len());
        if !has("scale") {
            constants.insert(0, self.constant(format!("{name}/gamma"), &[channels], vec![1.0; channels]));
        }
        if !has("center") {
            constants.insert(1, self.constant(format!("{name}/beta"), &[channels], vec![0.0; channels]));
        }
        let inputs: Vec<&str> = [x].into_iter().chain(constants.iter().map(String::as_str)).collect();
        Ok(self.node("BatchNormalization", &inputs, name, vec![AttributeProto::float("epsilon", eps as f32)]))
    }

    /// The activation in a layer's configuration, as ONNX calls it.
    fn activation(&mut self, config: &Value, x: &str, name: &str) -> Outcome<String> {
        let said = &config["activation"];
        let function = said.as_str().or(said["class_name"].as_str()).or(said["config"].as_str());
        let (op, attributes) = match function.unwrap_or("linear") {
            "linear" => ("Identity", vec![]),
            "relu" => ("Relu", vec![]),
            "ReLU" if said.is_object() => return self.relu(&said["config"], x, name),
            "relu6" => return Ok(self.clip(x, name, 6.0)),
            "softmax" => ("Softmax", vec![AttributeProto::int("axis", -1)]),
            "log_softmax" => ("LogSoftmax", vec![AttributeProto::int("axis", -1)]),
            "sigmoid" => ("Sigmoid", vec![]),
            "tanh" => ("Tanh", vec![]),
            "elu" => ("Elu", vec![]),
            "selu" => ("Selu", vec![]),
            "gelu" => ("Gelu", vec![]),
            "leaky_relu" => ("LeakyRelu", vec![]),
            "swish" | "silu" | "hard_silu" | "hard_swish" => ("HardSwish", vec![]),
            other => return Err(format!("its activation {other} is not supported")),
        };
        Ok(self.node(op, &[x], name, attributes))
    }

    /// ReLU with the parameters that Keras gives it.
    fn relu(&mut self, config: &Value, x: &str, name: &str) -> Outcome<String> {
        let number = |key: &str| config[key].as_f64().or(config[key][0].as_f64());
        if number("negative_slope").unwrap_or(0.0) != 0.0 {
            return Ok(self.node("LeakyRelu", &[x], name, vec![]));
        }
        if number("threshold").unwrap_or(0.0) != 0.0 {
            return Err("has a threshold other than 0".into());
        }
        Ok(match number("max_value") {
            None => self.node("Relu", &[x], name, vec![]),
            Some(most) => self.clip(x, name, most as f32),
        })
    }

    fn clip(&mut self, x: &str, name: &str, most: f32) -> String {
        let least = self.constant(format!("{name}/least"), &[], vec![0.0]);
        let most = self.constant(format!("{name}/most"), &[], vec![most]);
        self.node("Clip", &[x, &least, &most], name, vec![])
    }

    fn pool(&mut self, op: &str, config: &Value, x: &str, name: &str) -> Outcome<String> {
        let attributes = windows(config, "pool_size")?;
        Ok(self.node(op, &[x], name, attributes))
    }

    /// A global pool, flattened unless `keepdims` says otherwise.
    fn global_pool(&mut self, op: &str, config: &Value, x: &str, name: &str) -> String {
        if config["keepdims"] == true {
            return self.node(op, &[x], name, vec![]);
        }
        let pooled = self.node(op, &[x], &format!("{name}/map"), vec![]);
        self.maps = false;
        self.node("Flatten", &[&pooled], name, vec![AttributeProto::int("axis", 1)])
    }

    fn padding(&mut self, config: &Value, x: &str, name: &str) -> Outcome<String> {
        let side = |i: usize, j: usize| {
            let one = &config["padding"][i];
            config["padding"].as_i64().or(one.as_i64()).or(one[j].as_i64()).unwrap_or(0)
        };
        let pads = [0, 0, side(0, 0), side(1, 0), 0, 0, side(0, 1), side(1, 1)];
        Ok(self.node("Pad", &[x], name, vec![AttributeProto::ints("pads", &pads)]))
    }

    /// A map is flattened in row, column, channel order.
    fn flatten(&mut self, x: &str, name: &str) -> String {
        let mut value = x.to_string();
        if std::mem::take(&mut self.maps) {
            let first_to_last = AttributeProto::ints("perm", &[0, 2, 3, 1]);
            value = self.node("Transpose", &[x], &format!("{name}/channels_last"), vec![first_to_last]);
        }
        self.node("Flatten", &[&value], name, vec![AttributeProto::int("axis", 1)])
    }

    fn rescaling(&mut self, config: &Value, x: &str, name: &str) -> Outcome<String> {
        let number = |key: &str, default: Option<f64>| {
            let value = if config[key].is_null() { default } else { config[key].as_f64() };
            value.map(|v| v as f32).ok_or_else(|| format!("its {key} is no number"))
        };
        let scale = self.constant(format!("{name}/scale"), &[], vec![number("scale", None)?]);
        let offset = self.constant(format!("{name}/offset"), &[], vec![number("offset", Some(0.0))?]);
        let scaled = self.node("Mul", &[x, &scale], &format!("{name}/scaled"), vec![]);
        Ok(self.node("Add", &[&scaled, &offset], name, vec![]))
    }
}

fn kernel_and_bias(config: &Value) -> Vec<&'static str> {
    if config["use_bias"] == false { vec!["kernel"] } else { vec!["kernel", "bias"] }
}

/// Whether the weight `name` of a file is `part`: `kernel:0`, and `block1_conv1_W_1:0` of Keras 1.
fn is_part(name: &str, part: &str) -> bool {
    let name = name.split(':').next().unwrap_or(name);
    let first_version = match part {
        "kernel" => "_W",
        "bias" => "_b",
        "moving_mean" => "_running_mean",
        "moving_variance" => "_running_std",
        part => return name == part || name.trim_end_matches("_1").ends_with(&format!("_{part}")),
    };
    name == part || name.trim_end_matches("_1").ends_with(first_version)
}

/// Size, stride and padding of a layer's windows.
fn windows(config: &Value, size: &str) -> Outcome<Vec<AttributeProto>> {
    let window = pair(&config[size]).ok_or_else(|| format!("its configuration has no {size}"))?;
    let strides = match &config["strides"] {
        Value::Null if size == "pool_size" => window,
        said => pair(said).unwrap_or([1, 1]),
    };
    let padding = match config["padding"].as_str().unwrap_or("valid") {
        "valid" => "VALID",
        "same" => "SAME_UPPER",
        other => return Err(format!("its padding {other} is not supported")),
    };
    Ok(vec![
        AttributeProto::ints("kernel_shape", &window),
        AttributeProto::ints("strides", &strides),
        AttributeProto::text("auto_pad", padding),
    ])
}

/// Two numbers, or one for both.
fn pair(value: &Value) -> Option<[i64; 2]> {
    match value.as_array().map(Vec::as_slice) {
        Some([a, b]) => Some([a.as_i64()?, b.as_i64()?]),
        Some(_) => None,
        None => value.as_i64().map(|n| [n, n]),
    }
}
