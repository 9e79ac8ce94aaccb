//! `--check`: what a state dict does not show is found by comparing with the source, and where it starts.

use super::mutate::mutated;
use std::path::Path;
use vgg2rtl::float::import::check::{Case, compare, verdict};
use vgg2rtl::float::import::options::Activation;
use vgg2rtl::float::import::{Options, import};
use vgg2rtl::net::Shape;

/// What the comparison of `name` with its `.npz` says.
fn found(name: &str, bn_eps: Option<f32>) -> Option<String> {
    let zoo = super::data().join("zoo");
    let options = Options { input: Some(Shape { c: 3, h: 16, w: 16 }), bn_eps, ..Options::default() };
    let imported = import(&zoo.join(format!("{name}.pth")), &options).unwrap();
    let case = Case::read(&zoo.join(format!("{name}.npz"))).unwrap();
    let rows = compare(&imported, &case).unwrap();
    assert!(rows.len() > 5, "{rows:?}");
    verdict(&rows)
}

#[test]
fn a_difference_is_found_where_it_starts() {
    assert_eq!(found("checked", Some(1e-3)), None);
    let table = [
        ("checked", "starts at layer conv1_1, features.1 of the source", "batch norm's epsilon"),
        ("relu6", "starts at layer conv1_1, features.1 of the source", "its activation is no ReLU"),
        ("leaky", "starts at layer conv1_1, features.1 of the source", "its activation is no ReLU"),
        ("average_pools", "starts at layer conv2_1, features.4 of the source", "the pool before it"),
    ];
    for (name, place, cause) in table {
        let reason = found(name, None).unwrap();
        assert!(reason.contains(place) && reason.contains(cause), "{name}: {reason}");
    }
}

/// PyTorch's ReLU6.
#[test]
fn a_relu_that_saturates_is_what_the_option_says() {
    let zoo = super::data().join("zoo");
    let input = Some(Shape { c: 3, h: 16, w: 16 });
    let options = Options { input, activation: Some(Activation::Relu6), ..Options::default() };
    let imported = import(&zoo.join("relu6.pth"), &options).unwrap();
    let rows = compare(&imported, &Case::read(&zoo.join("relu6.npz")).unwrap()).unwrap();
    assert!(rows.len() > 5, "{rows:?}");
    assert_eq!(verdict(&rows), None);
    let trained = vgg2rtl::quantize::qat::Net::float_from(&imported.model).unwrap().float();
    assert!(trained.layers.iter().rev().skip(1).all(|layer| layer.saturation == Some(6.0)));
}

#[test]
fn mutated_cases_never_panic() {
    let zoo = super::data().join("zoo");
    let options = Options { input: Some(Shape { c: 3, h: 16, w: 16 }), ..Options::default() };
    let imported = import(&zoo.join("relu6.pth"), &options).unwrap();
    let bytes = std::fs::read(zoo.join("relu6.npz")).unwrap();
    for seed in 0..300 {
        if let Ok(case) = Case::from_bytes(&mutated(&bytes, seed)) {
            drop(compare(&imported, &case));
        }
    }
    assert!(Case::from_bytes(b"PK\x03\x04").unwrap_err().contains("not a whole .npz file"));
    assert!(Case::read(Path::new("nowhere.npz")).is_err());
}
