//! Data sets written by hand, byte by byte, and read back.

use super::*;
use crate::net::{Colour, Fit, Header, Preprocessing, Shape};
use std::fs;
use std::io::Write;
use std::path::Path;

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
    assert!(error.to_string().ends_with("has no training part, only the other one"), "{error}");
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
    assert!(set.align(&head, 9).unwrap_err().to_string().contains("10 classes (airplane, automobile"));
    set.classes.clear();
    assert!(set.align(&head, 9).unwrap_err().to_string().contains("label 9 of picture 0"));
    assert!(set.align(&head, 1).unwrap_err().to_string().contains("network of 1 outputs"));

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

/// A one-pixel picture.
fn pixel(path: &Path, grey: u8) {
    png(path, 1, 1, &[grey; 3]);
}

/// The grey values and labels of a set.
fn content(set: &DataSet) -> Vec<(u8, Option<usize>)> {
    (0..set.len()).map(|i| (set.picture(i).unwrap().bytes[0], set.label(i))).collect()
}

fn names(set: &DataSet) -> Vec<&str> {
    set.classes().iter().map(String::as_str).collect()
}

#[test]
fn labels_come_from_names_and_never_slide() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (i, name) in
        ["Train/ant/1.png", "Train/bee/2.png", "Train/cow/3.png", "valid/ant/4.png", "valid/cow/5.png"]
            .into_iter()
            .enumerate()
    {
        pixel(&at(name), i as u8);
    }
    // A hidden folder, what a system leaves behind, and a class without a picture in one part.
    for dir in ["Train/.ipynb_checkpoints", "Train/__MACOSX", "valid/.git", "valid/bee", "__MACOSX/Train"] {
        fs::create_dir_all(at(dir)).unwrap();
    }
    pixel(&at("Train/.ipynb_checkpoints/1.png"), 99);
    fs::write(at("Train/cow/notes.doc"), "").unwrap();
    let train = DataSet::open_split(folder.path(), Split::Train).unwrap();
    assert_eq!((names(&train), train.part()), (vec!["ant", "bee", "cow"], Some(Split::Train)));
    assert_eq!(content(&train), [(0, Some(0)), (1, Some(1)), (2, Some(2))]);
    assert!(train.notes().any(|n| n.contains("1 files skipped, which are no pictures: notes.doc")));
    let test = DataSet::open(folder.path()).unwrap();
    assert_eq!((names(&test), test.lacks(3)), (vec!["ant", "bee", "cow"], vec!["bee".to_string()]));
    assert_eq!(content(&test), [(3, Some(0)), (4, Some(2))]);

    fs::remove_dir_all(at("Train")).unwrap();
    assert!(DataSet::open_part(folder.path(), Split::Train).unwrap().is_none());
    assert!(
        DataSet::open_to_calibrate(folder.path())
            .unwrap()
            .notes()
            .any(|n| n.contains("the test part calibrates"))
    );
    pixel(&at("valid/Ant/6.png"), 9);
    assert!(
        DataSet::open(folder.path()).unwrap_err().to_string().contains("\"Ant\" and \"ant\" differ in case")
    );
}

#[test]
fn parts_have_many_names_and_classes_may_have_theirs() {
    for (train, test) in
        [("train", "test"), ("TRAINING", "Validation"), ("seg_train/seg_train", "seg_test/seg_test")]
    {
        let folder = tempfile::tempdir().unwrap();
        pixel(&folder.path().join(train).join("a/1.png"), 1);
        pixel(&folder.path().join(test).join("a/2.png"), 2);
        pixel(&folder.path().join("seg_pred/3.png"), 3);
        let open = |split| content(&DataSet::open_split(folder.path(), split).unwrap());
        assert_eq!(
            (open(Split::Train), open(Split::Test)),
            (vec![(1, Some(0))], vec![(2, Some(0))]),
            "{train}"
        );
    }
    // `train` among vehicles is a class.
    let folder = tempfile::tempdir().unwrap();
    for (i, class) in ["bus", "car", "train"].into_iter().enumerate() {
        pixel(&folder.path().join(class).join("1.png"), i as u8);
    }
    let set = DataSet::open(folder.path()).unwrap();
    assert_eq!((set.part(), names(&set)), (None, vec!["bus", "car", "train"]));
}

#[test]
fn nested_folders_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // Tiny ImageNet's form.
    pixel(&at("train/n02/images/n02_0.JPEG"), 2);
    pixel(&at("train/n01/images/n01_0.JPEG"), 1);
    pixel(&at("val/images/val_0.JPEG"), 7);
    pixel(&at("val/images/val_1.JPEG"), 8);
    fs::write(at("val/val_annotations.txt"), "val_1.JPEG\tn01\t0\t0\nval_0.JPEG\tn02\t0\t0\n").unwrap();
    let grey = |set: &DataSet| content(set).into_iter().map(|c| c.1).collect::<Vec<_>>();
    let train = DataSet::open_split(folder.path(), Split::Train).unwrap();
    assert_eq!((names(&train), grey(&train)), (vec!["n01", "n02"], vec![Some(0), Some(1)]));
    let val = DataSet::open(folder.path()).unwrap();
    assert_eq!((names(&val), grey(&val)), (vec!["n01", "n02"], vec![Some(1), Some(0)]));
    fs::write(at("val/val_annotations.txt"), "val_1.JPEG\tn01\n").unwrap();
    assert!(DataSet::open(folder.path()).unwrap_err().to_string().contains("has no label for val_0.JPEG"));
    // Without labels pictures in `images` are no class.
    fs::remove_file(at("val/val_annotations.txt")).unwrap();
    assert!(!DataSet::open(at("val")).unwrap().is_labelled());
    // Classes of classes.
    pixel(&at("train/n01/more/1.png"), 1);
    assert!(DataSet::open(folder.path()).unwrap_err().to_string().contains("which folders are the classes?"));
}

#[test]
fn files_of_labels_name_pictures_or_classes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    pixel(&at("flat/x.png"), 1);
    pixel(&at("flat/y.png"), 2);
    fs::write(at("flat/labels.csv"), "id,breed\nx,\"pug\"\ny,beagle\n").unwrap();
    let mut set = DataSet::open(at("flat")).unwrap();
    assert_eq!((names(&set), content(&set)), (vec!["beagle", "pug"], vec![(1, Some(1)), (2, Some(0))]));
    let mut head = header(Shape { c: 3, h: 1, w: 1 }, bytes_as_they_are(3));
    assert!(set.align(&head, 1000).unwrap_err().to_string().contains("--labels FILE"));
    let map = at("map.txt");
    fs::write(&map, "pug 254\nbeagle 162\n").unwrap();
    set.relabel(&map, &[]).unwrap();
    set.align(&head, 1000).unwrap();
    assert_eq!(content(&set), [(1, Some(254)), (2, Some(162))]);
    fs::write(at("flat/labels.csv"), "x.png,3\ny.png,1\n").unwrap();
    assert_eq!(content(&DataSet::open(at("flat")).unwrap()), [(1, Some(3)), (2, Some(1))]);
    fs::write(at("flat/labels.csv"), "x.png,3\ny.png,cat\n").unwrap();
    assert!(DataSet::open(at("flat")).unwrap_err().to_string().contains("some labels are numbers"));
    fs::remove_file(at("flat/labels.csv")).unwrap();
    let mut set = DataSet::open(at("flat")).unwrap();
    fs::write(&map, "x.png;b\ny.png;a\n").unwrap();
    head.classes = ["a", "b"].map(String::from).into();
    set.relabel(&map, &head.classes).unwrap();
    assert_eq!(content(&set), [(1, Some(1)), (2, Some(0))]);
    assert!(set.relabel(&at("none.txt"), &[]).is_err());
}

#[test]
fn names_are_matched_or_taken_in_order_and_said() {
    let folder = tempfile::tempdir().unwrap();
    pixel(&folder.path().join("cat/1.png"), 1);
    pixel(&folder.path().join("dog/2.png"), 2);
    let open = || DataSet::open(folder.path()).unwrap();
    let mut head = header(Shape { c: 3, h: 1, w: 1 }, bytes_as_they_are(3));
    let mut set = open();
    set.align(&head, 2).unwrap();
    assert!(set.notes().any(|n| n.contains("its outputs are taken for cat, dog in this order")));
    head.classes = ["dog", "crane", "cat", "cat"].map(String::from).into();
    assert!(open().align(&head, 4).unwrap_err().to_string().contains("outputs 2 and 3 of the network both"));
    head.classes[3] = "bat".into();
    set = open();
    set.align(&head, 4).unwrap();
    assert_eq!(
        (content(&set), set.lacks(4)),
        (vec![(1, Some(2)), (2, Some(0))], vec!["crane".into(), "bat".into()])
    );
    head.classes[0] = "wolf".into();
    assert!(open().align(&head, 4).unwrap_err().to_string().contains("knows no class \"dog\""));
}

/// Pillow's results; `tests/pillow_resize.py` writes them.
#[test]
fn resizing_is_pillows() {
    #[derive(serde::Deserialize)]
    struct Case {
        filter: crate::net::Filter,
        from: [usize; 3],
        to: [usize; 2],
        picture: Vec<u8>,
        resized: Vec<u8>,
    }
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../tests/fixtures/resize.json")).unwrap();
    assert_eq!(cases.len(), 24);
    for Case { filter, from: [height, width, channels], to: [h, w], picture, resized } in cases {
        let found = Picture { height, width, channels, bytes: picture }.resized(h, w, filter).bytes;
        let worst = found.iter().zip(&resized).map(|(f, r)| f.abs_diff(*r)).max();
        assert!(
            found.len() == resized.len() && worst <= Some(1),
            "{height}×{width} to {h}×{w}, {filter:?}: {worst:?}"
        );
    }
}

#[test]
fn every_format_of_pictures_and_no_half_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..16 * 16 * 3).map(|i| (i * 7 % 251) as u8).collect();
    for name in ["a.png", "a.bmp", "a.tiff", "a.ppm", "a.webp", "a.JFIF"] {
        let path = folder.path().join(name);
        let format = if name == "a.JFIF" {
            image::ImageFormat::Jpeg
        } else {
            image::ImageFormat::from_path(&path).unwrap()
        };
        image::save_buffer_with_format(&path, &bytes, 16, 16, image::ExtendedColorType::Rgb8, format)
            .unwrap();
        assert!(folder::is_picture(&path), "{name}");
        let read = Picture::read(&path, false).unwrap();
        assert_eq!((read.height, read.width, read.channels), (16, 16, 3), "{name}");
        assert!(name == "a.JFIF" || read.bytes == bytes, "{name}");
    }
    // A JPEG that ends early is not grey below, at whatever byte it ends; a thumbnail's end is not its own.
    let path = folder.path().join("a.JFIF");
    let whole = fs::read(&path).unwrap();
    let thumbnail = [&[0xff, 0xe1, 0, 6][..], &[0xff, 0xd9, 0, 0]].concat();
    let with_thumbnail = [&whole[..2], &thumbnail, &whole[2..]].concat();
    fs::write(&path, &with_thumbnail).unwrap();
    assert!(Picture::read(&path, false).is_ok());
    for len in (4..with_thumbnail.len()).step_by(5) {
        fs::write(&path, &with_thumbnail[..len]).unwrap();
        let error = Picture::read(&path, false).unwrap_err().to_string();
        assert!(error.contains("cut short") || error.contains("cannot be decoded"), "{len}: {error}");
    }
}

#[test]
fn cifar_100_and_stl_10_and_the_folders_around_them() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("cifar-100-binary")).unwrap();
    let record: Vec<u8> = [&[3, 99][..], &[7; 3072]].concat();
    fs::write(at("cifar-100-binary/test.bin"), &record).unwrap();
    let set = DataSet::open(folder.path()).unwrap();
    assert_eq!((set.len(), set.label(0), set.picture(0).unwrap().bytes[0]), (1, Some(99), 7));
    assert_eq!(DataSet::open(at("cifar-100-binary/test.bin")).unwrap().label(0), Some(99));
    fs::write(at("cifar-100-binary/test.bin"), &record[1..]).unwrap();
    assert!(DataSet::open(folder.path()).unwrap_err().to_string().contains("CIFAR-100 records of 3074"));

    // Pixel (row 1, column 0) is the second of its column, and so of the file.
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut picture = vec![0; 3 * 96 * 96];
    picture[1] = 200;
    fs::write(at("test_X.bin"), &picture).unwrap();
    fs::write(at("test_y.bin"), [10]).unwrap();
    let set = DataSet::open(folder.path()).unwrap();
    assert_eq!((set.label(0), set.picture(0).unwrap().bytes[96 * 3]), (Some(9), 200));
    for (labels, want) in [(&[0][..], "label 0 of picture 0"), (&[1, 2], "27648 bytes for 2 labels")] {
        fs::write(at("test_y.bin"), labels).unwrap();
        assert!(DataSet::open(folder.path()).unwrap_err().to_string().contains(want), "{want}");
    }
}

/// An array as numpy writes it.
fn npy(kind: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    [b"\x93NUMPY\x01\x00", &(head.len() as u16).to_le_bytes()[..], head.as_bytes(), bytes].concat()
}

#[test]
fn numpy_arrays_in_parts_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, bytes: Vec<u8>| fs::write(at(name), bytes).unwrap();
    write("x_train.npy", npy("|u1", "2, 1, 2", &[1, 2, 3, 4]));
    write("y_train.npy", npy("<i8", "2,", &[[5u8, 0, 0, 0, 0, 0, 0, 0], [6, 0, 0, 0, 0, 0, 0, 0]].concat()));
    write("x_test.npy", npy("|u1", "1, 3, 2, 2", &[0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]));
    let train = DataSet::open_split(folder.path(), Split::Train).unwrap();
    assert_eq!(content(&train), [(1, Some(5)), (3, Some(6))]);
    let planar = DataSet::open(folder.path()).unwrap().picture(0).unwrap();
    assert_eq!((planar.channels, &planar.bytes[..4]), (3, &[0, 10, 20, 1][..]));
    let mut zip = zip::ZipWriter::new(fs::File::create(at("a.npz")).unwrap());
    for name in ["x_train.npy", "y_train.npy", "x_test.npy"] {
        let stored =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file(name, stored).unwrap();
        zip.write_all(&fs::read(at(name)).unwrap()).unwrap();
    }
    zip.finish().unwrap();
    assert_eq!(content(&DataSet::open_split(at("a.npz"), Split::Train).unwrap()), content(&train));
    let table: [(Vec<u8>, &str); 5] = [
        (npy("|u1", "2, 1, 3", &[1, 2, 3, 4]), "cannot be read as an array"),
        (npy("|u1", "99999999999, 99999, 2", &[]), "is too large"),
        (npy("<f4", "1, 1, 1", &0.5f32.to_le_bytes()), "more than bytes 0 … 255"),
        (npy("|u1", "4,", &[1, 2, 3, 4]), "pictures of shape [4]"),
        (b"\x93NUMPY\x01\x00\x04\x00nope".to_vec(), "cannot be read as an array"),
    ];
    for (bytes, want) in table {
        write("x.npy", bytes);
        let error = DataSet::open(at("x.npy")).unwrap_err().to_string();
        assert!(error.contains(want) && error.contains("x.npy"), "{error}");
    }
    write("y_train.npy", npy("<i8", "1,", &[255; 8]));
    assert!(
        DataSet::open_split(folder.path(), Split::Train)
            .unwrap_err()
            .to_string()
            .contains("not whole numbers")
    );
    assert!(DataSet::open(at("train_32x32.mat")).unwrap_err().to_string().contains("scipy.io"));
}

/// A batch as Python 2 pickled it (checked with Python 3's `pickle.loads(…, encoding="latin1")`): a dict of numpy's array of
/// `count` pictures and a list of labels.
fn pickled(count: u8, key: &str, labels: &[u8]) -> Vec<u8> {
    let pixels = vec![5; usize::from(count) * 3072];
    let array = b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K";
    let kind = b"M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T";
    let head = [&array[..], &[count], kind, &(pixels.len() as u32).to_le_bytes()].concat();
    let numbers: Vec<u8> = labels.iter().flat_map(|&l| [b'K', l]).collect();
    [&head[..], &pixels, b"tbU", &[key.len() as u8], key.as_bytes(), b"](", &numbers, b"eu."].concat()
}

#[test]
fn cifar_in_pickles_and_in_archives() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("cifar-10-batches-py");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("data_batch_1"), pickled(2, "labels", &[7, 3])).unwrap();
    fs::write(root.join("test_batch"), pickled(1, "labels", &[9])).unwrap();
    let train = DataSet::open_split(folder.path(), Split::Train).unwrap();
    assert_eq!((content(&train), names(&train)[7]), (vec![(5, Some(7)), (5, Some(3))], "horse"));
    let test = DataSet::open(folder.path()).unwrap();
    assert_eq!((content(&test), test.part()), (vec![(5, Some(9))], Some(Split::Test)));

    let tar_gz = folder.path().join("cifar-10-python.tar.gz");
    let pack = |files: &[(&str, &[u8])]| {
        let mut tar = tar::Builder::new(vec![]);
        for (name, bytes) in files {
            let mut head = tar::Header::new_gnu();
            head.set_size(bytes.len() as u64);
            head.set_cksum();
            tar.append_data(&mut head, name, *bytes).unwrap();
        }
        fs::write(&tar_gz, gzip(&tar.into_inner().unwrap())).unwrap();
    };
    pack(&[
        ("cifar-10-batches-py/test_batch", &pickled(1, "labels", &[4])),
        ("cifar-10-batches-py/readme.html", b""),
    ]);
    let test = DataSet::open(&tar_gz).unwrap();
    assert_eq!((content(&test), test.path()), (vec![(5, Some(4))], &*tar_gz));
    assert!(DataSet::open_part(&tar_gz, Split::Train).unwrap().is_none());
    for (name, bytes, want) in [
        ("test_batch", &pickled(2, "labels", &[7])[..], "6144 bytes of pictures for 1 labels"),
        ("test_batch", &pickled(1, "labels", &[70]), "has label 70, there are 10 classes"),
        ("test_batch", &pickled(1, "labels", &[7])[..400], "tar.gz: test_batch: "),
        ("test_batch", b"\x80\x02}.", "no batch of CIFAR"),
        ("a.png", b"", "unpack it and name the folder"),
        ("readme", b"", "holds none of"),
    ] {
        pack(&[(name, bytes)]);
        let error = DataSet::open(&tar_gz).unwrap_err().to_string();
        assert!(error.contains(want) && error.contains("cifar-10-python.tar.gz"), "{error}");
        assert_eq!(error.matches("/.tmp").count(), 1, "only the archive's own folder: {error}");
    }
    fs::write(&tar_gz, &fs::read(&tar_gz).unwrap()[..20]).unwrap();
    assert!(DataSet::open(&tar_gz).unwrap_err().to_string().contains("cannot be unpacked"));

    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("meta"), b"\x80\x02}(U\x10fine_label_names](U\x05appleU\x04beareu.").unwrap();
    fs::write(root.path().join("test"), pickled(1, "fine_labels", &[1])).unwrap();
    let test = DataSet::open(root.path()).unwrap();
    assert_eq!((content(&test), names(&test)), (vec![(5, Some(1))], vec!["apple", "bear"]));
}
