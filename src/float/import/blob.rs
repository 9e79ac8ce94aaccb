//! The bytes of a file, read where they are needed: a large checkpoint is never in memory twice.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes in memory or on disk.
pub enum Blob<'a> {
    /// In memory.
    Memory(&'a [u8]),
    /// On disk.
    Disk(File, u64),
}

impl Blob<'_> {
    /// The open file, of the length that it has now.
    pub fn of_file(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self::Disk(file, len))
    }

    /// Number of bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Disk(_, len) => *len,
        }
    }

    /// `len` bytes from `at`; an error where the file has none there.
    pub fn read(&self, at: u64, len: usize) -> Result<Cow<'_, [u8]>, String> {
        if at.checked_add(len as u64).is_none_or(|end| end > self.len()) {
            return Err(format!("{len} bytes at {at} lie outside a file of {} bytes", self.len()));
        }
        match self {
            Self::Memory(bytes) => Ok(bytes[at as usize..at as usize + len].into()),
            Self::Disk(file, _) => {
                let mut file: &File = file;
                let mut bytes = vec![0; len];
                let done = file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut bytes));
                done.map(|()| bytes.into()).map_err(|e| e.to_string())
            }
        }
    }

    /// At most `len` bytes from `at`, fewer where the file ends.
    pub fn read_up_to(&self, at: u64, len: usize) -> Result<Cow<'_, [u8]>, String> {
        self.read(at, len.min(usize::try_from(self.len().saturating_sub(at)).unwrap_or(usize::MAX)))
    }

    /// A reader from the first byte.
    pub fn reader(&self) -> Reader<'_> {
        Reader { blob: self, at: 0 }
    }
}

/// A position in a [`Blob`].
pub struct Reader<'a> {
    blob: &'a Blob<'a>,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.blob.read_up_to(self.at, buffer.len()).map_err(io::Error::other)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.blob.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
