//! Where results go: checked before the work, whole or not there afterwards.
//!
//! | at the path is | then |
//! |---|---|
//! | nothing, a regular file | a temporary file beside it is written and renamed; mode and owner of the old file stay |
//! | a symbolic link | the same at its target |
//! | a device, a FIFO | it is opened and written |
//! | a folder, a read-only file, an input | it is refused |
//!
//! Temporary files and folders are locked while their process lives; [`remove_strays`] removes those of killed ones.

use crate::interrupt::{self, Temporary};
use crate::{Error, Result};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::{NamedTempFile, TempDir};

/// How names of temporary files and folders begin; the machine's name follows.
const PREFIX: &str = ".vgg2rtl-";
/// After this time, what another machine left, or what cannot be locked, counts as abandoned.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);
/// Links that are followed, as Linux does.
const MOST_LINKS: usize = 40;

/// A result of a command.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    /// The option that names it, as typed.
    pub option: &'a str,
    /// Where it goes.
    pub path: &'a Path,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    File,
    /// Files are added to it.
    Folder,
    /// With all that is in it.
    WholeFolder,
}

impl<'a> Output<'a> {
    /// A file.
    pub fn file(option: &'a str, path: &'a Path) -> Self {
        Self { option, path, kind: Kind::File }
    }

    /// A folder that files are added to, made where it is missing.
    pub fn folder(option: &'a str, path: &'a Path) -> Self {
        Self { option, path, kind: Kind::Folder }
    }

    /// A folder that [`replace_folder`] replaces.
    pub fn whole_folder(option: &'a str, path: &'a Path) -> Self {
        Self { option, path, kind: Kind::WholeFolder }
    }

    fn bad(&self, reason: impl Into<String>) -> Error {
        Error::BadOutput { option: self.option.into(), path: self.path.into(), reason: reason.into() }
    }
}

/// Refuses what [`write()`] could not write, what would destroy one of `inputs`, and two outputs in one place. Removes what
/// killed runs left where the outputs go.
///
/// # Errors
/// [`Error::BadOutput`], which names the option.
pub fn check(outputs: &[Output], inputs: &[PathBuf]) -> Result<()> {
    let mut places: BTreeMap<PathBuf, &str> = BTreeMap::new();
    for output in outputs {
        let place = check_place(output).map_err(|reason| output.bad(reason))?;
        let Some(place) = place else { continue };
        let destroys = |input: &&PathBuf| match output.kind {
            Kind::File => is_same(&place, input),
            Kind::Folder => false,
            Kind::WholeFolder => input.canonicalize().is_ok_and(|input| input.starts_with(&place)),
        };
        if let Some(input) = inputs.iter().find(destroys) {
            return Err(output.bad(format!("would destroy the input {}", input.display())));
        }
        if output.kind == Kind::File
            && let Some(other) = places.insert(place, output.option)
        {
            return Err(output.bad(format!("is an output of {other} too")));
        }
    }
    Ok(())
}

/// The place that the output will take, with all links resolved; `None` for devices and FIFOs, which hold any number.
fn check_place(output: &Output) -> std::result::Result<Option<PathBuf>, String> {
    if output.kind != Kind::File {
        return check_folder(output.path).map(Some);
    }
    let Place::File(target, old) = Place::of(output.path).map_err(|e| e.to_string())? else {
        return Ok(None);
    };
    if output.path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err("names a folder, a file is needed".into());
    }
    if let Some(old) = &old {
        if old.mode() & 0o222 == 0 {
            return Err(format!("is read-only (mode {:04o})", old.mode() & 0o7777));
        }
        OpenOptions::new().append(true).open(&target).map_err(|e| e.to_string())?;
    }
    let folder = check_writable(parent(&target))?;
    Ok(Some(folder.join(target.file_name().ok_or("names no file")?)))
}

fn check_folder(path: &Path) -> std::result::Result<PathBuf, String> {
    let path = resolved(path).map_err(|e| e.to_string())?;
    let there = path.ancestors().map(or_here).find(|p| p.exists()).unwrap_or(Path::new("/"));
    let folder = check_writable(there)?;
    Ok(folder.join(path.strip_prefix(there).unwrap_or(&path)))
}

/// Whether a file can be made in `folder`; its canonical path.
fn check_writable(folder: &Path) -> std::result::Result<PathBuf, String> {
    if !folder.is_dir() {
        let what = if folder.exists() { "is no folder" } else { "is not there" };
        return Err(format!("the folder {} {what}", folder.display()));
    }
    remove_strays(folder);
    let unwritable = |e: io::Error| format!("the folder {} cannot be written: {e}", folder.display());
    Draft::in_folder(folder).map_err(unwritable)?;
    folder.canonicalize().map_err(unwritable)
}

/// Whether both are one file, under whatever names.
fn is_same(place: &Path, input: &Path) -> bool {
    let (Ok(place), Ok(input)) = (fs::metadata(place), fs::metadata(input)) else { return false };
    (place.dev(), place.ino()) == (input.dev(), input.ino())
}

/// Writes `bytes` to `path`, as the module's table says.
///
/// # Errors
/// A path that cannot be written, a full disk: what was there is still there.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |to| to.write_all(bytes))
}

/// As [`write()`], of bytes that `fill` writes piece by piece.
pub fn write_with(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    write_to(path, fill).map_err(Error::io(path))
}

fn write_to(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    match Place::of(path)? {
        Place::Stream => fill(&mut OpenOptions::new().append(true).open(path)?),
        Place::File(target, old) => {
            let mut draft = Draft::in_folder(parent(&target))?;
            fill(draft.file.as_file_mut())?;
            if let Some(old) = old {
                let _ = fchown(draft.file.as_file(), Some(old.uid()), Some(old.gid())); // only root may
                draft.file.as_file().set_permissions(old.permissions())?;
            }
            draft.file.persist(&target).map_err(|e| e.error).map(drop)
        }
    }
}

/// What is at a path.
enum Place {
    /// A regular file or nothing at the end of all links, and what is known of the file.
    File(PathBuf, Option<Metadata>),
    /// A device or a FIFO.
    Stream,
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        let other = |what: &str| Err(io::Error::other(format!("is a {what}")));
        match fs::metadata(path) {
            Ok(at) if at.is_dir() => other("folder"),
            Ok(at) if at.file_type().is_socket() => other("socket"),
            Ok(at) if !at.is_file() => Ok(Self::Stream),
            found => {
                let target = resolved(path)?;
                // /dev/stdout is a link to an open file, which others write as well.
                let is_open = found.is_ok() && target.starts_with("/proc");
                Ok(if is_open { Self::Stream } else { Self::File(target, found.ok()) })
            }
        }
    }
}

/// `path` without links at its end; what they lead to may be missing.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        let Ok(next) = fs::read_link(&path) else { return Ok(path) };
        if path.starts_with("/proc") {
            return Ok(path);
        }
        path = parent(&path).join(next);
    }
    Err(io::Error::other("leads through too many links"))
}

fn parent(path: &Path) -> &Path {
    path.parent().map_or(path, or_here)
}

fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// A file that is removed unless it is renamed.
struct Draft {
    file: NamedTempFile,
    _listed: Temporary,
}

impl Draft {
    fn in_folder(folder: &Path) -> io::Result<Self> {
        loop {
            let (file, listed) = interrupt::temporary(|| {
                let all = Permissions::from_mode(0o666); // less the umask
                let file = tempfile::Builder::new().prefix(&prefix()).permissions(all).tempfile_in(folder)?;
                let path = file.path().to_path_buf();
                Ok((file, path))
            })?;
            if is_ours(file.as_file()) {
                return Ok(Self { file, _listed: listed });
            }
        }
    }
}

/// A folder for work under way, removed when it is dropped.
#[derive(Debug)]
pub struct Workspace {
    folder: TempDir,
    _lock: File,
    _listed: Temporary,
}

impl Workspace {
    /// A new one in `folder`.
    pub fn new(folder: &Path) -> Result<Self> {
        Self::in_folder(folder).map_err(Error::io(folder))
    }

    fn in_folder(parent: &Path) -> io::Result<Self> {
        loop {
            let (folder, listed) = interrupt::temporary(|| {
                let folder = tempfile::Builder::new().prefix(&prefix()).tempdir_in(parent)?;
                let path = folder.path().to_path_buf();
                Ok((folder, path))
            })?;
            match File::open(folder.path()) {
                Ok(lock) if is_ours(&lock) => return Ok(Self { folder, _lock: lock, _listed: listed }),
                _ if folder.path().exists() => return Err(io::Error::other("a new folder cannot be opened")),
                _ => {} // taken for a stray
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Puts the folder `fresh` in the place of `to`, in one step; an old folder there ends at `fresh`.
pub fn replace_folder(fresh: &Path, to: &Path) -> Result<()> {
    let replace = || {
        let to = resolved(to)?;
        match fs::rename(fresh, &to) {
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => {
                match renameat_with(CWD, fresh, CWD, &to, RenameFlags::EXCHANGE) {
                    Ok(()) => Ok(()),
                    Err(_) => in_two_steps(fresh, &to), // network file systems cannot swap
                }
            }
            result => result,
        }
    };
    replace().map_err(Error::io(to))
}

fn in_two_steps(fresh: &Path, to: &Path) -> io::Result<()> {
    let old = fresh.with_extension("old");
    fs::rename(to, &old)?;
    fs::rename(fresh, to).inspect_err(|_| drop(fs::rename(&old, to)))
}

/// Locks a new file or folder; whether nobody has taken it for a stray before. Where there are no locks, it is ours.
fn is_ours(file: &File) -> bool {
    match file.try_lock() {
        Ok(()) => file.metadata().is_ok_and(|at| at.nlink() > 0),
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => true,
    }
}

fn prefix() -> String {
    let machine = rustix::system::uname().nodename().to_string_lossy().replace('/', "-");
    format!("{PREFIX}{machine}-")
}

/// Removes temporary files and folders that killed runs left in `folder`; it only costs space, so failures do not matter.
pub fn remove_strays(folder: &Path) {
    let ours = prefix();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_plain = entry.file_type().is_ok_and(|t| t.is_file() || t.is_dir());
        if !(is_plain && name.starts_with(PREFIX)) {
            continue;
        }
        let age = entry.metadata().and_then(|m| m.modified()).ok().and_then(|t| t.elapsed().ok());
        let is_old = age.is_some_and(|age| age > ABANDONED);
        let Ok(file) = File::open(entry.path()) else { continue };
        let is_stray = match file.try_lock() {
            Ok(()) => is_old || name.starts_with(&ours),
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(_)) => is_old,
        };
        if is_stray {
            let _ = interrupt::remove(&entry.path()); // under the lock
        }
    }
}

#[cfg(test)]
mod tests;
