//! Data sets written by hand, byte by byte, and read back.

use super::*;
use crate::net::{Colour, Fit, Preprocessing, Shape};
use std::fs;
use std::io::Write;

fn header(input: Shape, preprocessing: Preprocessing) -> Header {
    Header { name: "test".into(), input, preprocessing, classes: vec![] }
}

fn bytes_as_they_are(channels: usize) -> Preprocessing {
    Preprocessing { scale: 1.0, ..Preprocessing::unit(channels) }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

const IMAGES: &[u8] = &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 10, 20, 30, 40];
const LABELS: &[u8] = &[0, 0, 8, 1, 0, 0, 0, 2, 7, 3];

#[test]
fn idx_pairs_with_and_without_gzip() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("t10k-images-idx3-ubyte.gz"), gzip(IMAGES)).unwrap();
    fs::write(at("t10k-labels-idx1-ubyte"), LABELS).unwrap();
    for path in [folder.path().to_path_buf(), at("t10k-images-idx3-ubyte.gz")] {
        let set = DataSet::open(path).unwrap();
        assert_eq!((set.len(), set.label(0), set.label(1), set.label(2)), (2, Some(7), Some(3), None));
        let x = set.batch([1, 0], &header(Shape { c: 1, h: 1, w: 2 }, bytes_as_they_are(1))).unwrap();
        assert_eq!(x.as_slice().unwrap(), [30.0, 40.0, 10.0, 20.0]);
    }
    let error = DataSet::open_split(folder.path(), Split::Train).unwrap_err();
    assert!(error.to_string().ends_with("has no idx train images"), "{error}");
}

#[test]
fn idx_headers_are_held_to_their_word() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t10k-images-idx3-ubyte");
    let with = |at: usize, byte: u8| {
        let mut bytes = IMAGES.to_vec();
        bytes[at] = byte;
        bytes
    };
    let table = [
        (IMAGES[..19].to_vec(), "holds 3 of the 4 bytes"),
        ([IMAGES, &[0]].concat(), "holds more than the 4 bytes"),
        (IMAGES[..9].to_vec(), "cannot be read as IDX"),
        (with(2, 13), "starts with [00, 00, 0d, 03]"),
        (with(4, 255), "its header promises [4278190082, 1, 2] elements"),
        (with(11, 0)[..16].to_vec(), "its images are 0×2"),
        (gzip(IMAGES)[..20].to_vec(), "cannot be read as IDX"),
    ];
    for (bytes, want) in table {
        fs::write(&path, bytes).unwrap();
        let error = DataSet::open(&path).unwrap_err().to_string();
        assert!(error.contains(want) && error.contains("t10k-images"), "{error}");
    }
}

#[test]
fn cifar_planes_become_channels() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = vec![9u8];
    record.extend((0..3072).map(|i| (i / 1024 * 50 + i % 7) as u8));
    fs::write(folder.path().join("test_batch.bin"), &record).unwrap();
    let mut set = DataSet::open(folder.path()).unwrap();
    assert_eq!((set.len(), set.label(0), set.classes()[9].as_str()), (1, Some(9), "truck"));
    let head =
        header(Shape { c: 3, h: 32, w: 32 }, Preprocessing { colour: Colour::Bgr, ..bytes_as_they_are(3) });
    let x = set.batch([0], &head).unwrap();
    let at = |c: usize, i: usize| (c * 50 + (c * 1024 + i) % 7) as f32;
    assert_eq!((x[[0, 0, 0, 3]], x[[0, 2, 1, 0]]), (at(2, 3), at(0, 32)));
    assert!(set.align(&head, 9).unwrap_err().to_string().contains("label 9 of picture 0"));

    record[0] = 10;
    fs::write(folder.path().join("test_batch.bin"), &record).unwrap();
    assert!(DataSet::open(folder.path()).unwrap_err().to_string().contains("record 0 has label 10"));
    fs::write(folder.path().join("test_batch.bin"), &record[1..]).unwrap();
    assert!(DataSet::open(folder.path()).unwrap_err().to_string().contains("no whole number"));
}

#[test]
fn fashion_mnist_has_a_name() {
    match DataSet::open("fashion-mnist") {
        Ok(set) => assert_eq!((set.len(), set.is_labelled()), (10_000, true)),
        Err(error) => assert!(error.to_string().contains("apt-get install dataset-fashion-mnist"), "{error}"),
    }
}

fn png(path: &Path, width: u32, height: u32, rgb: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::save_buffer(path, rgb, width, height, image::ExtendedColorType::Rgb8).unwrap();
}

#[test]
fn image_folders_have_their_folders_as_classes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    png(&at("dog/b.png"), 1, 1, &[255, 0, 0]);
    png(&at("cat/a.PNG"), 1, 1, &[1, 2, 3]);
    let mut set = DataSet::open(folder.path()).unwrap();
    assert_eq!((set.classes(), set.label(1)), (&["cat".to_string(), "dog".to_string()][..], Some(1)));
    let mut head = header(Shape { c: 1, h: 1, w: 1 }, bytes_as_they_are(1));
    assert_eq!(set.batch([1], &head).unwrap()[[0, 0, 0, 0]], 76.0); // Pillow: (255, 0, 0) → 76
    head.classes = ["dog", "fish", "cat"].map(String::from).into();
    set.align(&head, 3).unwrap();
    assert_eq!((set.label(0), set.label(1)), (Some(2), Some(0)));

    png(&at("stray.png"), 1, 1, &[1, 2, 3]);
    assert!(DataSet::open(folder.path()).unwrap_err().to_string().contains("its class is unknown"));
    fs::write(at("cat/a.PNG"), b"\x89PNG no more").unwrap();
    let broken = DataSet::open(at("cat")).unwrap();
    assert!(!broken.is_labelled());
    assert!(broken.batch([0], &head).unwrap_err().to_string().contains("a.PNG: cannot be decoded"));
}

#[test]
fn pictures_are_padded_cropped_and_stretched() {
    let picture = Picture { height: 1, width: 2, channels: 1, bytes: vec![8, 6] };
    let run = |picture: &Picture, fit: Fit, h: usize, w: usize| {
        let p = Preprocessing { fit, mean: vec![1.0], std: vec![2.0], ..bytes_as_they_are(1) };
        preprocess(picture, &header(Shape { c: 1, h, w }, p)).map(|x| x.into_raw_vec_and_offset().0)
    };
    assert_eq!(run(&picture, Fit::Pad, 3, 2).unwrap(), [-0.5, -0.5, 3.5, 2.5, -0.5, -0.5]);
    let error = run(&picture, Fit::Pad, 1, 1).unwrap_err();
    assert_eq!(error, "a picture of 1×2 does not fit into the 1×1 that the network reads");
    let filter = crate::net::Filter::Bilinear;
    let wide = Picture { height: 2, width: 5, channels: 1, bytes: (0..10).map(|i| 2 * i + 1).collect() };
    // 5 columns to 2: (5 − 2) / 2 = 1.5, to even 2, as torchvision's CenterCrop.
    assert_eq!(run(&wide, Fit::Crop { shorter: 2, filter }, 2, 2).unwrap(), [2.0, 3.0, 7.0, 8.0]);
    assert!(run(&wide, Fit::Crop { shorter: 1, filter }, 2, 2).unwrap_err().contains("resized to 1×2"));
    // Pillow: Image.fromarray(uint8 [[8, 6]]).resize((4, 1), BILINEAR) → 8, 8 (7.5), 7 (6.5), 6.
    let stretched = run(&picture, Fit::Stretch { filter }, 1, 4).unwrap();
    assert_eq!((stretched[0], stretched[3]), (3.5, 2.5));
}
