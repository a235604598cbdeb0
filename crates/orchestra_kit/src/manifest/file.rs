//! The file itself: read, parsed, its two tables handed to their readers.

use std::path::{Path, PathBuf};

use component::{Code, Diagnostic};

use super::{ExtensionManifest, SystemManifest};
use crate::document::{Faults, Fields, Source};

/// One `Symphony.toml`: a system, an extension, or both.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// What `[system]` says.
    pub system: Option<SystemManifest>,
    /// What `[extension]` says.
    pub extension: Option<ExtensionManifest>,
}

impl Manifest {
    pub(super) const KEYS: &[&str] = &["system", "extension"];

    /// Reads a manifest.
    ///
    /// # Errors
    /// Every fault of the file, sorted by place.
    pub fn read(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let source = Source::read(path, Code::MANIFEST_INVALID).map_err(|fault| vec![fault])?;
        Self::from_source(&source)
    }

    /// Reads a manifest from a text that is in memory.
    ///
    /// # Errors
    /// Every fault of the text, sorted by place.
    pub fn from_source(source: &Source) -> Result<Self, Vec<Diagnostic>> {
        let (manifest, faults) = Self::as_far_as_lawful(source)?;
        if faults.is_empty() { Ok(manifest) } else { Err(faults) }
    }

    /// Reads what can be read; where something is wrong with it, what that is.
    fn as_far_as_lawful(source: &Source) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let root = source.toml(Code::MANIFEST_INVALID)?;
        let file = PathBuf::from(&**source.file());
        let mut faults = Faults::new(Code::MANIFEST_INVALID);
        let mut manifest = Self { system: None, extension: None };
        if let Some(mut fields) = Fields::open(&mut faults, root, "", Self::KEYS) {
            let (system, extension) = (fields.take("system"), fields.take("extension"));
            if system.is_none() && extension.is_none() && fields.faults.errors() == 0 {
                let at = fields.at().clone();
                fields
                    .faults
                    .error(&at, "the file has neither `[system]` nor `[extension]`")
                    .hint = Some(
                    "a system's manifest begins with `[system]`, an extension's with `[extension]`"
                        .into(),
                );
            }
            manifest.system =
                system.and_then(|table| SystemManifest::read_from(fields.faults, &file, table));
            manifest.extension = extension
                .and_then(|table| ExtensionManifest::read_from(fields.faults, &file, table));
            if let Some(extension) = &mut manifest.extension {
                extension.digest = source.digest();
            }
        }
        let faults = if faults.errors() == 0 { Vec::new() } else { faults.into_sorted() };
        Ok((manifest, faults))
    }
}

impl SystemManifest {
    /// Reads a system's manifest.
    ///
    /// # Errors
    /// Every fault of the file, sorted by place; also when it has no `[system]`.
    pub fn read(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let source = Source::read(path, Code::MANIFEST_INVALID).map_err(|fault| vec![fault])?;
        Manifest::from_source(&source)?.system.ok_or_else(|| {
            vec![
                Diagnostic::error(
                    Code::MANIFEST_INVALID,
                    format!("`{}` has no `[system]`", source.file()),
                )
                .at(source.start())
                .hint("name the system's manifest, whose `extensions` lists this one"),
            ]
        })
    }
}

impl ExtensionManifest {
    /// Reads a manifest with faults as far as it says which extension it is and when that is started.
    pub(crate) fn read_despite_faults(path: &Path) -> Option<Self> {
        let source = Source::read(path, Code::MANIFEST_INVALID).ok()?;
        let (manifest, _) = Manifest::as_far_as_lawful(&source).ok()?;
        manifest.extension.filter(|extension| super::is_name(&extension.name))
    }

    /// Reads an extension's manifest.
    ///
    /// # Errors
    /// Every fault of the file, sorted by place; also when it has no `[extension]`.
    pub fn read(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let source = Source::read(path, Code::MANIFEST_INVALID).map_err(|fault| vec![fault])?;
        Manifest::from_source(&source)?.extension.ok_or_else(|| {
            vec![
                Diagnostic::error(
                    Code::MANIFEST_INVALID,
                    format!("`{}` has no `[extension]`", source.file()),
                )
                .at(source.start()),
            ]
        })
    }
}
