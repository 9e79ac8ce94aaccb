//! Files of labels: `labels.csv` beside pictures, annotations of Tiny ImageNet, and what `--labels` names.

use crate::{Error, Result, store};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Largest file of labels.
const LARGEST: u64 = 1 << 28;

/// Whether a file beside pictures has their labels, by its name.
pub fn is_label_file(path: &Path) -> bool {
    let part = |text: Option<&std::ffi::OsStr>| text.unwrap_or_default().to_string_lossy().to_lowercase();
    let (stem, extension) = (part(path.file_stem()), part(path.extension()));
    let is_table = ["csv", "tsv", "txt"].contains(&extension.as_str());
    is_table
        && (["labels", "annotations"].contains(&&*stem)
            || stem.ends_with("_annotations")
            || stem.ends_with("_labels"))
}

/// The first two cells of each line: separated by tabs, commas, semicolons, or else by blanks; `"` around a cell is taken
/// off. Lines that are empty or begin with `#` are left out.
pub fn read(path: &Path) -> Result<Vec<(String, String)>> {
    let size = std::fs::metadata(path).map_err(Error::io(path))?.len();
    if size > LARGEST {
        return Err(Error::bad_file(path, format!("{size} bytes are too many for labels")));
    }
    let text = store::read_text(path)?;
    let lines = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#'));
    let pair = |(i, line): (usize, &str)| {
        let separator = ['\t', ',', ';'].into_iter().find(|&s| line.contains(s));
        let mut cells = match separator {
            Some(s) => line.split(s).collect::<Vec<_>>().into_iter(),
            None => line.split_whitespace().collect::<Vec<_>>().into_iter(),
        };
        let mut cell =
            || cells.next().map(|c| c.trim().trim_matches('"').to_string()).filter(|c| !c.is_empty());
        match (cell(), cell()) {
            (Some(key), Some(label)) => Ok((key, label)),
            _ => Err(Error::bad_file(path, format!("line {}: {line:?} is no name and label", i + 1))),
        }
    };
    lines.map(pair).collect()
}

/// Each of `pictures` with its label, by the name of its file, with or without what follows the last dot. A first line that
/// names none of them is a head.
pub fn of_pictures(
    file: &Path,
    lines: &[(String, String)],
    pictures: Vec<PathBuf>,
) -> Result<Vec<(PathBuf, String)>> {
    let mut labels: HashMap<&str, &str> = HashMap::new();
    for (key, label) in lines {
        let key = key.rsplit(['/', '\\']).next().unwrap_or(key);
        if labels.insert(key, label).is_some_and(|other| other != label) {
            return Err(Error::bad_file(file, format!("{key} has two labels")));
        }
    }
    let mut found = vec![];
    for picture in pictures {
        let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let (name, stem) = (text(picture.file_name()), text(picture.file_stem()));
        let label = labels.get(&*name).or_else(|| labels.get(&*stem));
        let label = label.ok_or_else(|| Error::bad_file(file, format!("has no label for {name}")))?;
        found.push((picture, label.to_string()));
    }
    let numbers = found.iter().filter(|(_, l)| number(l).is_some()).count();
    if numbers > 0 && numbers < found.len() {
        return Err(Error::bad_file(file, "some labels are numbers, others names"));
    }
    Ok(found)
}

/// Whether all labels are numbers, which are the outputs' places from 0.
pub fn are_numbers<'a>(mut labels: impl Iterator<Item = &'a String>) -> bool {
    labels.all(|l| number(l).is_some())
}

/// A label that is a number.
pub fn number(label: &str) -> Option<usize> {
    label.parse().ok().filter(|&n: &usize| n < 1 << 24)
}
