//! Data sets as they are downloaded: a tar, gzip or not, of binary files.

use super::found::{Found, KNOWN, Reader};
use crate::output::Workspace;
use crate::{Error, Result, store};
use std::io::{BufReader, Read};
use std::path::Path;
use std::rc::Rc;

/// Most bytes that are unpacked, of all files together.
const MOST_BYTES: u64 = 4 << 30;

/// Whether the file name says that it is a tar.
pub fn is_archive(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    [".tar", ".tar.gz", ".tgz"].iter().any(|end| name.ends_with(end))
}

/// What is in an archive: its files are unpacked into a temporary folder, without the folders that they lie in, where `find`
/// looks for them.
pub fn open(path: &Path, find: fn(&Path) -> Result<Found>) -> Result<Found> {
    let folder = unpacked(path)?;
    let found = find(folder.path()).map_err(|e| Error::bad_file(path, inside(&e, &folder)))?;
    let (folder, path) = (Rc::new(folder), path.to_path_buf());
    let keep = |reader: Reader| -> Reader {
        let (folder, path) = (folder.clone(), path.clone());
        Box::new(move || {
            let mut set = reader().map_err(|e| Error::bad_file(&path, inside(&e, &folder)))?;
            if !set.is_in_memory() {
                return Err(Error::bad_file(&path, "holds picture files: unpack it and name the folder"));
            }
            set.path = path;
            Ok(set)
        })
    };
    Ok(match found {
        Found::Whole(all) => Found::Whole(keep(all)),
        Found::Parts { train, test } => Found::Parts { train: train.map(keep), test: test.map(keep) },
    })
}

/// An error without the name of the temporary folder.
fn inside(error: &Error, folder: &Workspace) -> String {
    let folder = folder.path().display();
    error.to_string().replace(&format!("{folder}/"), "").replace(&format!("{folder}: "), "")
}

fn unpacked(path: &Path) -> Result<Workspace> {
    let bad = |reason: String| Error::bad_file(path, reason);
    let folder = Workspace::new(&std::env::temp_dir())?;
    let open = || store::open_file(path).map(BufReader::new);
    let mut magic = [0; 2];
    let gzip = open()?.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    let stream: Box<dyn Read> =
        if gzip { Box::new(flate2::bufread::GzDecoder::new(open()?)) } else { Box::new(open()?) };
    let mut archive = tar::Archive::new(stream.take(MOST_BYTES));
    let damaged = |e: std::io::Error| bad(format!("cannot be unpacked: {e}"));
    let mut pictures = false;
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let Some(name) = entry.path().map_err(damaged)?.file_name().map(std::ffi::OsStr::to_os_string) else {
            continue;
        };
        if !entry.header().entry_type().is_file() || name.to_string_lossy().starts_with('.') {
            continue;
        }
        if super::folder::is_picture(Path::new(&name)) {
            pictures = true;
            break;
        }
        let to = folder.path().join(&name);
        let mut file = std::fs::File::create_new(&to)
            .map_err(|_| bad(format!("holds {} twice", name.to_string_lossy())))?;
        std::io::copy(&mut entry, &mut file).map_err(damaged)?;
    }
    if pictures {
        return Err(bad("holds picture files: unpack it and name the folder".into()));
    }
    match std::fs::read_dir(folder.path()).map_err(Error::io(folder.path()))?.next() {
        Some(_) => Ok(folder),
        None => Err(bad(format!("holds none of {KNOWN}"))),
    }
}
