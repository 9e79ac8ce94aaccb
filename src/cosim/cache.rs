//! What slow work gave, kept under the hash of everything that it follows from.
//!
//! An entry is written under a temporary name and renamed: it is whole or not there, whatever happens.

use crate::output::{self, Workspace};
use crate::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Once;

/// A folder of entries.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in `folder`, which is made where needed; by default `vgg2rtl` in the user's cache folder.
    pub fn open(folder: Option<&Path>) -> Result<Self> {
        let folder = folder.map_or_else(default_folder, PathBuf::from);
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let folder = folder.canonicalize().map_err(Error::io(&folder))?;
        output::remove_strays(&folder);
        Ok(Self { folder })
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
        let path = self.path(key);
        fs::rename(file, &path).map_err(Error::io(&path))?;
        Ok(path)
    }

    /// The value under `key`; what cannot be read as one counts as missing.
    pub fn value<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.path(key)).ok()?).ok()
    }

    /// Keeps a value under `key`. A full disk loses no result: it is only told, once.
    pub fn keep_value<T: Serialize>(&self, key: &str, value: &T) {
        static TOLD: Once = Once::new();
        let path = self.path(key);
        let json = serde_json::to_vec(value).map_err(|e| Error::bad_file(&path, e.to_string()));
        if let Err(error) = json.and_then(|json| output::write(&path, &json)) {
            TOLD.call_once(|| warn(&format!("{error}; results are not kept")));
        }
    }
}

/// Says `what` on standard error; nothing depends on whether anybody hears it.
fn warn(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

fn default_folder() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let home = || variable("HOME").map(|home| home.join(".cache"));
    variable("XDG_CACHE_HOME").or_else(home).unwrap_or_else(std::env::temp_dir).join("vgg2rtl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_whole_or_missing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(&folder.path().join("a/b"))).unwrap();
        assert_eq!(cache.value::<u32>("x"), None);
        cache.keep_value("x", &7u32);
        assert_eq!(cache.value("x"), Some(7u32));
        fs::write(cache.path("x"), "7, but half a fi").unwrap();
        assert_eq!(cache.value::<u32>("x"), None);
        let work = cache.workspace().unwrap();
        fs::write(work.path().join("program"), "text").unwrap();
        let kept = cache.keep(&work.path().join("program"), "y").unwrap();
        drop(work);
        assert_eq!(fs::read_to_string(kept).unwrap(), "text");
        assert_eq!(fs::read_dir(cache.path("")).unwrap().count(), 2);
    }
}
