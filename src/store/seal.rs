//! A checksum inside a `.safetensors` file that covers every other byte of it.
//!
//! The description has a key [`KEY`] whose value is the digest of the file with zeros in that value's place.

use super::hash::digest;
use crate::{Error, Result};
use std::path::Path;

/// Key of the checksum in the description.
pub const KEY: &str = "sha256";
/// Hexadecimal digits of the checksum.
const DIGITS: usize = 64;

/// What stands in the checksum's place while it is computed.
pub fn blank() -> String {
    "0".repeat(DIGITS)
}

/// Fills in the checksum of the file `bytes`, which has [`blank`] in its place.
pub fn seal(bytes: &mut [u8]) {
    let at = place(bytes).expect("the description has a blank checksum");
    let sum = checksum(bytes, at);
    bytes[at..at + DIGITS].copy_from_slice(sum.as_bytes());
}

/// Whether the file `path`, whose bytes are `bytes`, is what was sealed.
pub fn check(path: &Path, bytes: &[u8]) -> Result<()> {
    let Some(at) = place(bytes) else {
        return Err(Error::bad_file(path, "has no checksum: it is not what was written"));
    };
    match checksum(bytes, at).as_bytes() == &bytes[at..at + DIGITS] {
        true => Ok(()),
        false => Err(Error::bad_file(path, "does not match its checksum: it is damaged")),
    }
}

fn checksum(bytes: &[u8], at: usize) -> String {
    digest([&bytes[..at], blank().as_bytes(), &bytes[at + DIGITS..]])
}

/// Where the checksum stands: the description is a JSON text inside a JSON string, so that its quotes are escaped.
fn place(bytes: &[u8]) -> Option<usize> {
    let before = format!("\\\"{KEY}\\\":\\\"");
    let header = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let header = bytes.get(8..usize::try_from(header).ok()?.checked_add(8)?)?;
    let at = header.windows(before.len()).position(|window| window == before.as_bytes())?;
    let at = 8 + at + before.len();
    (at + DIGITS <= bytes.len()).then_some(at)
}
