//! What slow work gave, kept under the hash of everything that it follows from.
//!
//! An entry is written under a temporary name and renamed: it is whole or not there, whatever happens. It knows its own
//! hash: what has been changed since counts as missing. The folder is the user's own, since programs are run from it.

use crate::output::{self, Workspace};
use crate::{Error, Result, store};
use serde::{Serialize, de::DeserializeOwned};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

/// A folder of entries.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
    /// The folder, where it lasts no longer than the cache.
    _temporary: Option<Arc<Workspace>>,
}

impl Cache {
    /// The cache in `folder`, which is made where needed; by default `vgg2rtl` in the user's cache folder, and where
    /// that cannot be had, a fresh folder that ends with the cache.
    ///
    /// # Errors
    /// A folder that cannot be made, or that others than its user may write to.
    pub fn open(folder: Option<&Path>) -> Result<Self> {
        match folder {
            Some(folder) => Self::at(folder),
            None => Self::of_user().or_else(|reason| {
                warn(&format!("{reason}; results are not kept"));
                Self::temporary()
            }),
        }
    }

    fn of_user() -> std::result::Result<Self, String> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || variable("HOME").map(|home| home.join(".cache"));
        let base =
            variable("XDG_CACHE_HOME").or_else(home).ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
        Self::at(&base.join("vgg2rtl")).map_err(|e| e.to_string())
    }

    fn temporary() -> Result<Self> {
        let folder = Workspace::new(&std::env::temp_dir())?;
        Ok(Self { folder: folder.path().into(), _temporary: Some(Arc::new(folder)) })
    }

    fn at(folder: &Path) -> Result<Self> {
        make_private(folder).map_err(Error::io(folder))?;
        let folder = folder.canonicalize().map_err(Error::io(folder))?;
        let cache = Self { folder, _temporary: None };
        cache.check_owner()?;
        output::remove_strays(&cache.folder);
        Ok(cache)
    }

    /// Whether nobody else can write to the folder: its owner is who makes files in it, and its mode lets no others.
    #[cfg(unix)]
    fn check_owner(&self) -> Result<()> {
        use std::os::unix::fs::MetadataExt;
        let ours = self.workspace()?;
        let made = fs::metadata(ours.path()).map_err(Error::io(ours.path()))?;
        let found = fs::metadata(&self.folder).map_err(Error::io(&self.folder))?;
        let reason = if found.uid() != made.uid() {
            format!("belongs to user {}, not to {}", found.uid(), made.uid())
        } else if found.mode() & 0o022 != 0 {
            format!("can be written to by others (mode {:o})", found.mode() & 0o777)
        } else {
            return Ok(());
        };
        Err(Error::bad_file(
            &self.folder,
            format!("{reason}: a cache, from which programs are run, cannot be there"),
        ))
    }

    #[cfg(not(unix))]
    fn check_owner(&self) -> Result<()> {
        Ok(())
    }

    /// Where the entry of `key` is or would be.
    pub fn path(&self, key: &str) -> PathBuf {
        self.folder.join(key)
    }

    /// A folder for work under way, removed when it is dropped.
    pub fn workspace(&self) -> Result<Workspace> {
        Workspace::new(&self.folder)
    }

    /// Makes `file` the entry of `key`.
    pub fn keep(&self, file: &Path, key: &str) -> Result<PathBuf> {
        let hash = store::digest([store::read_file(file)?]);
        // Its name is its hash, so that two programs that make the same entry at a time cannot mix theirs.
        let path = self.path(&format!("{key}-{}", &hash[..16]));
        fs::rename(file, &path).map_err(Error::io(&path))?;
        self.keep_value(key, &hash);
        Ok(path)
    }

    /// The file under `key`; one that is not what [`Cache::keep`] was given counts as missing.
    pub fn file(&self, key: &str) -> Option<PathBuf> {
        let hash: String = self.value(key)?;
        let path = self.path(&format!("{key}-{}", hash.get(..16)?));
        let bytes = store::read_file(&path).ok()?;
        if store::digest([bytes]) != hash {
            warn(&format!("{}: is not what was kept; made again", path.display()));
            return None;
        }
        Some(path)
    }

    /// The value under `key`; one that is not what [`Cache::keep_value`] was given counts as missing.
    pub fn value<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let path = self.path(key);
        let text = store::read_file(&path).ok()?;
        let value = unsealed(key, &text).and_then(|json| serde_json::from_slice(json).ok());
        if value.is_none() {
            warn(&format!("{}: is not what was kept; done again", path.display()));
        }
        value
    }

    /// Keeps a value under `key`. A full disk loses no result: it is only told, once.
    pub fn keep_value<T: Serialize>(&self, key: &str, value: &T) {
        static TOLD: Once = Once::new();
        let path = self.path(key);
        let json = serde_json::to_string(value).map_err(|e| Error::bad_file(&path, e.to_string()));
        let sealed = |json: String| format!("{}\n{json}", store::digest([key, &json]));
        if let Err(error) = json.and_then(|json| output::write(&path, sealed(json).as_bytes())) {
            TOLD.call_once(|| warn(&format!("{error}; results are not kept")));
        }
    }
}

/// The JSON of an entry: behind a line with the hash of key and JSON.
fn unsealed<'t>(key: &str, text: &'t [u8]) -> Option<&'t [u8]> {
    let end = text.iter().position(|&byte| byte == b'\n')?;
    let (hash, json) = (&text[..end], &text[end + 1..]);
    (store::digest([key.as_bytes(), json]).as_bytes() == hash).then_some(json)
}

/// Makes the folder with all above it; the last one for the user alone.
fn make_private(folder: &Path) -> std::io::Result<()> {
    if let Some(parent) = folder.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Says `what` on standard error; nothing depends on whether anybody hears it.
pub(super) fn warn(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(&folder.path().join("a/b"))).unwrap();
        (folder, cache)
    }

    #[test]
    fn entries_are_whole_or_missing() {
        let (_folder, cache) = cache();
        assert_eq!(cache.value::<u32>("x"), None);
        cache.keep_value("x", &7u32);
        assert_eq!(cache.value("x"), Some(7u32));
        fs::write(cache.path("x"), "7, but half a fi").unwrap();
        assert_eq!(cache.value::<u32>("x"), None);
        let work = cache.workspace().unwrap();
        fs::write(work.path().join("program"), "text").unwrap();
        let kept = cache.keep(&work.path().join("program"), "y").unwrap();
        drop(work);
        assert_eq!(cache.file("y"), Some(kept.clone()));
        assert_eq!(fs::read_to_string(kept).unwrap(), "text");
        assert_eq!(fs::read_dir(cache.path("")).unwrap().count(), 3);
    }

    #[test]
    fn every_flipped_bit_of_an_entry_makes_it_missing() {
        let (_folder, cache) = cache();
        cache.keep_value("x", &vec![1u32, 22]);
        let whole = fs::read(cache.path("x")).unwrap();
        for bit in 0..8 * whole.len() {
            let mut wrong = whole.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            fs::write(cache.path("x"), wrong).unwrap();
            assert_eq!(cache.value::<Vec<u32>>("x"), None, "bit {bit}");
        }
        fs::write(cache.path("z"), &whole).unwrap(); // an entry of another key
        assert_eq!(cache.value::<Vec<u32>>("z"), None);
        let program = cache.path("made");
        fs::write(&program, "text").unwrap();
        let kept = cache.keep(&program, "y").unwrap();
        fs::write(kept, "texs").unwrap();
        assert_eq!(cache.file("y"), None);
    }

    #[test]
    #[cfg(unix)]
    fn the_folder_is_the_users_own() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let (_folder, cache) = cache();
        let folder = cache.path("");
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&folder, PermissionsExt::from_mode(0o770)).unwrap();
        let refused = Cache::open(Some(&folder)).unwrap_err().to_string();
        assert!(refused.contains("can be written to by others (mode 770)"), "{refused}");
        fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
        assert!(Cache::open(Some(&folder)).is_ok());
        let refused = Cache::open(Some(Path::new("/tmp"))).map(|_| ()); // anybody's
        assert!(refused.is_err());
    }

    #[test]
    fn a_temporary_cache_ends_with_its_last_copy() {
        let cache = Cache::temporary().unwrap();
        let (copy, folder) = (cache.clone(), cache.path(""));
        drop(cache);
        copy.keep_value("x", &1u32);
        drop(copy);
        assert!(!folder.exists());
    }
}
