//! What is executed, or forked, for an extension.
//!
//! Called by [`super::process`] for each start. Invariant: nothing is executed that the sandbox of the same manifest does not let
//! be executed.

use super::process::ProcessHost;
use super::servers;
use super::variables::{granted, is_read_at_exec};
use crate::extension::Ended;
use crate::manifest::{Entry, ExtensionManifest};
use crate::sandbox::Policy;
use crate::supervisor::Program;

impl ProcessHost {
    /// A variable that it is granted, that is set, and that acts only on a program that is executed.
    fn acts_at_exec(&self, manifest: &ExtensionManifest) -> Option<String> {
        let granted = granted(manifest, &self.options.environment).into_iter();
        let mut names = granted.map(|(name, _)| name);
        names.find(|name| is_read_at_exec(name))
    }

    pub(super) fn executes_own_python(&self, manifest: &ExtensionManifest) -> bool {
        let shares = matches!(manifest.entry, Entry::Python(_)) && manifest.python.is_none();
        shares && self.acts_at_exec(manifest).is_some()
    }

    pub(super) fn program(
        &self,
        manifest: &ExtensionManifest,
        policy: &Policy,
    ) -> Result<Program, Ended> {
        let folder = &manifest.folder;
        match (&manifest.entry, &manifest.python) {
            (Entry::Python(entry), None) if self.acts_at_exec(manifest).is_some() => {
                let variable = self.acts_at_exec(manifest).unwrap_or_default();
                if self.options.own_python.is_empty() {
                    return Err(Ended::NotStarted(format!(
                        "`{variable}` acts on a program that is executed, and this application has no interpreter to execute; name one as `python` in its manifest"
                    )));
                }
                let mut argv = self.options.own_python.clone();
                argv.push(entry.value.to_string());
                argv.push(text(folder)?);
                Ok(Program::Command { argv })
            }
            (Entry::Python(entry), None) => {
                Ok(Program::Python { entry: entry.value.to_string(), paths: vec![folder.clone()] })
            }
            (Entry::Python(_), Some(_)) if self.options.foreign_python.is_empty() => {
                let reason =
                    "no interpreter but this one can be used here (`python` in its manifest)";
                Err(Ended::NotStarted(reason.to_owned()))
            }
            (Entry::Python(entry), Some(interpreter)) => {
                let mut argv = vec![text(interpreter)?];
                argv.extend(self.options.foreign_python.iter().cloned());
                argv.push(entry.value.to_string());
                argv.push(text(folder)?);
                Ok(Program::Command { argv })
            }
            (Entry::Command(words), _) if manifest.protocol.is_foreign() => {
                servers::program(manifest, words, &self.options.places, policy)
            }
            (Entry::Command(words), _) => {
                Ok(Program::Command { argv: words.iter().map(|word| word.value.clone()).collect() })
            }
            (Entry::Library { .. }, _) => {
                Err(Ended::NotStarted("a library does not run in a process".to_owned()))
            }
        }
    }
}

fn text(path: &std::path::Path) -> Result<String, Ended> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Ended::NotStarted(format!("`{}` is not UTF-8", path.display())))
}
