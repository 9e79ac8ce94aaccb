//! Folders of pictures: a folder a class, or pictures beside a file of labels, or without labels; in one part or in two.
//!
//! A class is its folder's name: the classes are the names of both parts together, in alphabetical order, and a folder
//! without a picture keeps its place.

use super::found::{Found, Reader};
use super::labels;
use super::set::{DataSet, Pictures, listed};
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Endings of the pictures' formats that can be read.
const PICTURES: [&str; 15] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "tif", "tiff", "gif", "pnm", "ppm", "pgm", "pbm",
    "pam",
];
/// Names of the folder of a part, in lower case and after `seg_` or `images_` in front is taken off.
const TRAIN: [&str; 3] = ["train", "training", "trn"];
const TEST: [&str; 6] = ["test", "testing", "val", "valid", "validation", "eval"];
/// Names of a folder that holds pictures and is no class.
const FLAT: [&str; 5] = ["images", "image", "imgs", "pictures", "jpegimages"];
/// Files and folders that systems leave behind.
const LEFT_BEHIND: [&str; 5] = ["__macosx", "@eadir", "thumbs.db", "desktop.ini", "lost+found"];

/// Whether the file name says that it is a picture.
pub fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    PICTURES.contains(&extension.as_str())
}

/// One picture without a label.
pub fn one(path: &Path) -> Result<DataSet> {
    Ok(DataSet::new(path, Pictures::Files(vec![path.into()]), vec![], vec![]))
}

/// What is in a folder: parts, where all its folders have the names of parts or both are there.
pub fn find(folder: &Path) -> Result<Found> {
    let listing = Listing::of(folder)?;
    let named = |names: &[&str]| -> Vec<&PathBuf> {
        listing.folders.iter().filter(|f| names.contains(&part_name(f).as_str())).collect()
    };
    let (train, test) = (named(&TRAIN), named(&TEST));
    let others: Vec<PathBuf> =
        listing.folders.iter().filter(|f| !train.contains(f) && !test.contains(f)).cloned().collect();
    let alone = others.is_empty() && listing.pictures.is_empty();
    if (train.is_empty() && test.is_empty()) || !(alone || (!train.is_empty() && !test.is_empty())) {
        let path = folder.to_path_buf();
        return Ok(Found::Whole(Box::new(move || Part::read(&path)?.set(&BTreeSet::new()))));
    }
    let part = |folders: &[&PathBuf]| -> Result<Option<Part>> {
        // Of `test` beside `val` the one with labels, else `test`.
        let mut parts = folders.iter().map(|f| Part::read(f)).collect::<Result<Vec<_>>>()?;
        parts.sort_by_key(|p| (!p.is_labelled(), !part_name(&p.folder).starts_with("test")));
        let mut parts = parts.into_iter();
        let Some(mut first) = parts.next() else { return Ok(None) };
        first.unused.extend(parts.map(|p| p.folder));
        Ok(Some(first))
    };
    let (mut train, mut test) = (part(&train)?, part(&test)?);
    for part in [&mut train, &mut test].into_iter().flatten() {
        part.unused.extend(others.clone());
    }
    let names: BTreeSet<String> = [&train, &test].into_iter().flatten().flat_map(Part::names).collect();
    let reader = |part: Option<Part>| -> Option<Reader> {
        let (part, names) = (part?, names.clone());
        Some(Box::new(move || part.set(&names)))
    };
    Ok(Found::Parts { train: reader(train), test: reader(test) })
}

/// `train` of `Train`, `seg_train`, `train_images`.
fn part_name(folder: &Path) -> String {
    let name = name(folder).to_lowercase();
    let name = name.strip_prefix("seg_").unwrap_or(&name);
    name.strip_suffix("_images").or(name.strip_suffix("_set")).unwrap_or(name).to_string()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What lies in a folder, in the order of names; what systems hide or leave behind is not looked at.
struct Listing {
    folders: Vec<PathBuf>,
    pictures: Vec<PathBuf>,
    others: Vec<PathBuf>,
}

impl Listing {
    fn of(folder: &Path) -> Result<Self> {
        let entries = std::fs::read_dir(folder).map_err(Error::io(folder))?;
        let paths = entries.map(|e| e.map(|e| e.path())).collect::<std::io::Result<Vec<_>>>();
        let mut paths = paths.map_err(Error::io(folder))?;
        paths.sort();
        paths
            .retain(|p| !name(p).starts_with('.') && !LEFT_BEHIND.contains(&name(p).to_lowercase().as_str()));
        let (folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|p| p.is_dir());
        let (pictures, others) = files.into_iter().partition(|p| is_picture(p));
        Ok(Self { folders, pictures, others })
    }
}

/// The pictures of a part.
struct Part {
    folder: PathBuf,
    content: Content,
    /// Files that are neither pictures nor labels.
    skipped: Vec<PathBuf>,
    /// Folders of other parts.
    unused: Vec<PathBuf>,
}

enum Content {
    /// By the name of their class.
    Classes(BTreeMap<String, Vec<PathBuf>>),
    /// Each with its label.
    Labelled(Vec<(PathBuf, String)>),
    Plain(Vec<PathBuf>),
}

impl Part {
    fn read(folder: &Path) -> Result<Self> {
        let Listing { folders, pictures, others } = Listing::of(folder)?;
        match &folders[..] {
            // `seg_train/seg_train`
            [inner] if pictures.is_empty() && part_name(inner) == part_name(folder) => {
                return Self::read(inner);
            }
            // `val/images` beside `val/val_annotations.txt`
            [inner] if pictures.is_empty() && FLAT.contains(&name(inner).to_lowercase().as_str()) => {
                let within = Listing::of(inner)?;
                if let Some(nested) = within.folders.first() {
                    return Err(Error::bad_file(
                        nested,
                        "a folder among pictures: is it a class? say the folder of classes",
                    ));
                }
                let others = [others, within.others].concat();
                return Self::flat(folder, within.pictures, others);
            }
            [] => return Self::flat(folder, pictures, others),
            _ => {}
        }
        if let Some(stray) = pictures.first() {
            return Err(Error::bad_file(stray, "a picture beside class folders: its class is unknown"));
        }
        let mut skipped = others;
        let classes = folders.iter().map(|class| Ok((name(class), of_class(class, &mut skipped)?)));
        let content = Content::Classes(classes.collect::<Result<_>>()?);
        Ok(Self { folder: folder.into(), content, skipped, unused: vec![] })
    }

    /// Pictures in one folder, with the labels of a file among `others` where there is one.
    fn flat(folder: &Path, pictures: Vec<PathBuf>, mut others: Vec<PathBuf>) -> Result<Self> {
        let files: Vec<PathBuf> = others.extract_if(.., |p| labels::is_label_file(p)).collect();
        let content = match &files[..] {
            [] => Content::Plain(pictures),
            [file] => Content::Labelled(labels::of_pictures(file, &labels::read(file)?, pictures)?),
            [one, other, ..] => {
                return Err(Error::bad_file(one, format!("beside {}: which has the labels?", name(other))));
            }
        };
        Ok(Self { folder: folder.into(), content, skipped: others, unused: vec![] })
    }

    fn is_labelled(&self) -> bool {
        !matches!(self.content, Content::Plain(_))
    }

    /// Names of its classes; none where labels are numbers.
    fn names(&self) -> Vec<String> {
        match &self.content {
            Content::Classes(classes) => classes.keys().cloned().collect(),
            Content::Labelled(pictures) if !labels::are_numbers(pictures.iter().map(|p| &p.1)) => {
                pictures.iter().map(|p| p.1.clone()).collect()
            }
            Content::Labelled(_) | Content::Plain(_) => vec![],
        }
    }

    /// The data set, whose classes are its own and those of `others`.
    fn set(self, others: &BTreeSet<String>) -> Result<DataSet> {
        let names: BTreeSet<String> = self.names().into_iter().chain(others.iter().cloned()).collect();
        let names: Vec<String> = names.into_iter().collect();
        check_names(&self.folder, &names)?;
        let place = |name: &String| names.binary_search(name).expect("its own names are among them");
        let (mut files, mut found) = (vec![], vec![]);
        match self.content {
            Content::Plain(pictures) => files = pictures,
            Content::Classes(classes) => {
                for (name, pictures) in classes {
                    found.resize(found.len() + pictures.len(), place(&name));
                    files.extend(pictures);
                }
            }
            Content::Labelled(pictures) => {
                for (file, label) in pictures {
                    found.push(if names.is_empty() {
                        labels::number(&label).unwrap_or(0)
                    } else {
                        place(&label)
                    });
                    files.push(file);
                }
            }
        }
        if files.is_empty() {
            return Err(Error::bad_file(&self.folder, format!("holds none of {}", super::found::KNOWN)));
        }
        let mut set = DataSet::new(&self.folder, Pictures::Files(files), found, names);
        for (paths, what) in
            [(&self.skipped, "files skipped, which are no pictures"), (&self.unused, "folders not used")]
        {
            if !paths.is_empty() {
                let names: Vec<String> = paths.iter().map(|p| name(p)).collect();
                set.notes.push(format!("{} {what}: {}", names.len(), listed(&names)));
            }
        }
        Ok(set)
    }
}

/// The pictures of a class: in its folder, or all in one folder inside it.
fn of_class(class: &Path, skipped: &mut Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let Listing { folders, pictures, others } = Listing::of(class)?;
    skipped.extend(others);
    let mut found = vec![];
    if !pictures.is_empty() {
        found.push((class.to_path_buf(), pictures));
    }
    for inner in &folders {
        let pictures = of_class(inner, skipped)?;
        if !pictures.is_empty() {
            found.push((inner.clone(), pictures));
        }
    }
    match found.len() {
        0 | 1 => Ok(found.pop().map_or(vec![], |(_, pictures)| pictures)),
        _ => {
            let reason =
                format!("pictures here and in {}: which folders are the classes?", found[1].0.display());
            Err(Error::bad_file(&found[0].0, reason))
        }
    }
}

/// Refuses names that people take for the same.
fn check_names(folder: &Path, names: &[String]) -> Result<()> {
    let mut seen: BTreeMap<String, &String> = BTreeMap::new();
    for name in names {
        if let Some(other) = seen.insert(name.trim().to_lowercase(), name) {
            let reason = format!("classes {other:?} and {name:?} differ in case or blanks only");
            return Err(Error::bad_file(folder, reason));
        }
    }
    Ok(())
}
