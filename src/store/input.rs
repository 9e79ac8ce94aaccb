//! Files that are read: regular ones only, since a FIFO never ends and a device has no size.

use crate::{Error, Result};
use std::fs;
use std::io::Read;
use std::path::Path;

/// Opens the file `path` for reading.
///
/// # Errors
/// Where `path` cannot be opened, or is anything else than a regular file or a link to one.
pub fn open_file(path: &Path) -> Result<fs::File> {
    let kind = fs::metadata(path).map_err(Error::io(path))?.file_type();
    if !kind.is_file() {
        let what = if kind.is_dir() { "a folder" } else { "a pipe, socket or device" };
        return Err(Error::bad_file(path, format!("is {what}, a file is needed")));
    }
    fs::File::open(path).map_err(Error::io(path))
}

/// The bytes of the file `path`; fails as [`open_file`] does.
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    open_file(path)?.read_to_end(&mut bytes).map_err(Error::io(path))?;
    Ok(bytes)
}

/// The text of the file `path`; fails as [`open_file`] does, and where it is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read_file(path)?).map_err(|_| Error::bad_file(path, "is not a text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let reason = |path: &Path| read_file(path).unwrap_err().to_string();
        assert!(reason(folder.path()).contains("is a folder"));
        assert!(reason(&folder.path().join("none")).contains("No such file"));
        if cfg!(unix) {
            assert_eq!(
                reason(Path::new("/dev/zero")),
                "/dev/zero: is a pipe, socket or device, a file is needed"
            );
        }
        let path = folder.path().join("text");
        fs::write(&path, b"abc").unwrap();
        assert_eq!(read_text(&path).unwrap(), "abc");
        fs::write(&path, b"\xff").unwrap();
        assert!(read_text(&path).unwrap_err().to_string().contains("UTF-8"));
    }
}
