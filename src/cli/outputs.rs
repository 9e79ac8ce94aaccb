//! What every verb asks before it works: whether its results can go where they should.

use std::path::Path;
use vgg2rtl::float::data::data_files;
use vgg2rtl::output::{self, Output};
use vgg2rtl::{Error, Result, bundle};

/// Refuses outputs that cannot be written and those that would destroy an input: a file, or a picture of a data set.
pub fn check<'a>(outputs: &[Output], inputs: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    let is_new = outputs.iter().all(|o| !o.path.exists()); // large data sets take a while to list
    let files = |path: &Path| if is_new { vec![] } else { data_files(path) };
    output::check(outputs, &inputs.into_iter().flat_map(files).collect::<Vec<_>>())
}

/// As [`check`], for the bundle that -o names.
pub fn check_bundle<'a>(folder: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    check(&[Output::whole_folder("-o", folder)], inputs)?;
    match bundle::refusal(folder) {
        Some(reason) => {
            Err(Error::BadOutput { option: "-o".into(), path: folder.into(), reason: reason.into() })
        }
        None => Ok(()),
    }
}
