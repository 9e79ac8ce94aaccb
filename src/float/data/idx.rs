//! IDX, the format of MNIST and Fashion-MNIST, gzip or not: `00 00 08 rank`, big-endian sizes, then bytes.
//!
//! Format: <http://yann.lecun.com/exdb/mnist/>, "The IDX file format".

use super::found::{Found, Reader};
use super::set::{DataSet, Layout, Pictures};
use crate::{Error, Result, store};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// Type code of unsigned bytes, the only one that pictures and labels use.
const UNSIGNED_BYTE: u8 = 8;
/// More elements than any such data set has; guards against headers that promise the moon.
const MOST: u64 = 1 << 31;

/// The pairs of files in a folder; `None` where no file name looks like IDX images.
pub fn find(folder: &Path) -> Result<Option<Found>> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        if path.is_file() && name(&path).contains("images") && name(&path).contains("idx3") {
            found.push(path);
        }
    }
    let (train, test): (Vec<_>, Vec<_>) = found.into_iter().partition(|p| name(p).contains("train"));
    let reader = |mut files: Vec<PathBuf>| -> Result<Option<Reader>> {
        files.sort();
        files.dedup_by_key(|p| name(p).trim_end_matches(".gz").to_string()); // torchvision keeps both
        match &files[..] {
            [one, other, ..] => {
                let reason = format!("beside {}: say which file", name(other));
                Err(Error::bad_file(one, reason))
            }
            [one] => {
                let one = one.clone();
                Ok(Some(Box::new(move || open(&one))))
            }
            [] => Ok(None),
        }
    };
    let (train, test) = (reader(train)?, reader(test)?);
    Ok((train.is_some() || test.is_some()).then_some(Found::Parts { train, test }))
}

/// The images file `path` with the labels file beside it (`images` → `labels`, `idx3` → `idx1`), if there is one.
pub fn open(path: &Path) -> Result<DataSet> {
    let (sizes, bytes) = read(path, 3)?;
    let [count, height, width] = sizes[..] else { unreachable!("read checks the rank") };
    if height * width == 0 {
        return Err(Error::bad_file(path, format!("its images are {height}×{width}")));
    }
    let labels = match labels_beside(path) {
        None => vec![],
        Some(file) => {
            let (sizes, labels) = read(&file, 1)?;
            if sizes[0] != count {
                return Err(Error::bad_file(&file, format!("{} labels for {count} images", sizes[0])));
            }
            labels.into_iter().map(usize::from).collect()
        }
    };
    let layout = Layout { height, width, channels: 1, planar: false };
    Ok(DataSet::new(path, Pictures::Memory { layout, bytes }, labels, vec![]))
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|n| n.to_str()).unwrap_or("")
}

fn labels_beside(images: &Path) -> Option<PathBuf> {
    let plain = name(images).trim_end_matches(".gz");
    let plain = plain.replace("images", "labels").replace("idx3", "idx1");
    let candidates = [images.with_file_name(&plain), images.with_file_name(format!("{plain}.gz"))];
    candidates.into_iter().find(|p| p != images && p.is_file())
}

/// Sizes and bytes of an IDX file of `rank` dimensions.
fn read(path: &Path, rank: u8) -> Result<(Vec<usize>, Vec<u8>)> {
    let bad = |reason: String| Error::bad_file(path, reason);
    let io = |e: std::io::Error| bad(format!("cannot be read as IDX: {e}"));
    let mut file = open_maybe_gzip(path)?;
    let mut magic = [0; 4];
    file.read_exact(&mut magic).map_err(io)?;
    if magic != [0, 0, UNSIGNED_BYTE, rank] {
        return Err(bad(format!(
            "starts with {magic:02x?}, IDX of {rank} dimensions of bytes with 00 00 08 {rank:02x}"
        )));
    }
    let mut sizes = vec![];
    for _ in 0..rank {
        let mut size = [0; 4];
        file.read_exact(&mut size).map_err(io)?;
        sizes.push(u32::from_be_bytes(size));
    }
    let count = sizes.iter().try_fold(1u64, |n, &s| n.checked_mul(s.into()).filter(|&n| n <= MOST));
    let count = count.ok_or_else(|| bad(format!("its header promises {sizes:?} elements")))?;
    let mut bytes = vec![];
    file.take(count + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 != count {
        let more = if bytes.len() as u64 > count { "more than" } else { &format!("{} of", bytes.len()) };
        return Err(bad(format!("holds {more} the {count} bytes that its header promises")));
    }
    Ok((sizes.into_iter().map(|s| s as usize).collect(), bytes))
}

fn open_maybe_gzip(path: &Path) -> Result<Box<dyn Read>> {
    let open = || store::open_file(path).map(BufReader::new);
    let mut magic = [0; 2];
    let gzip = open()?.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    Ok(if gzip { Box::new(flate2::bufread::GzDecoder::new(open()?)) } else { Box::new(open()?) })
}
