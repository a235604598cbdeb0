//! The folders that each extension has for itself, whatever it is granted.
//!
//! Called by the process host before a run. Invariant: nobody but this system's user may look into them.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;

use crate::extension::Ended;
use crate::sandbox::Policy;

/// Makes its private folders, and names the one for temporary files to it.
pub(super) fn private_folders(policy: &Policy) -> Result<Option<(String, String)>, Ended> {
    for folder in [&policy.temporary, &policy.data] {
        if folder.is_absolute() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| {
                Ended::Refused(format!("its folder `{}` cannot be made: {error}", folder.display()))
            })?;
        }
    }
    let folder = &policy.temporary;
    let named = folder.is_absolute().then(|| folder.to_string_lossy().into_owned());
    Ok(named.map(|folder| ("TMPDIR".to_owned(), folder)))
}
