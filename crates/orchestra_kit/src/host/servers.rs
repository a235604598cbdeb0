//! How a language server or an MCP server is started: its program, what its bridge is told, what outlives a run.
//!
//! Called by the process host for manifests with `protocol = "lsp"` or `"mcp"`. Invariant: what is executed is what the
//! sandbox lets be executed: both find the program by the same rule.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::Errno;
use serde_json::json;

use crate::document::Located;
use crate::extension::Ended;
use crate::manifest::ExtensionManifest;
use crate::sandbox::{Places, Policy, own_program};
use crate::supervisor::Program;

/// How much of a run's state can be kept for the next one; only what is written takes memory.
const KEPT: u64 = 65 * 1024 * 1024;

/// The server, and what its bridge is told.
pub(super) fn program(
    manifest: &ExtensionManifest,
    words: &[Located<String>],
    places: &Places,
    policy: &Policy,
) -> Result<Program, Ended> {
    let mut argv: Vec<String> = words.iter().map(|word| word.value.clone()).collect();
    let (Some(first), Some(file)) = (argv.first_mut(), own_program(manifest, places)) else {
        let name = words.first().map(|word| word.value.clone()).unwrap_or_default();
        return Err(Ended::NotStarted(format!(
            "the program `{name}` was not found on `PATH`, nor beside the interpreter; install it, or write its path as `command`"
        )));
    };
    *first = file
        .to_str()
        .map(str::to_owned)
        .ok_or_else(|| Ended::NotStarted(format!("`{}` is not UTF-8", file.display())))?;
    let languages: Vec<&str> = manifest.languages.iter().map(|word| word.value.as_str()).collect();
    // The bridge reads documents for the server, and no others than the server may.
    let private = [&policy.temporary, &policy.data];
    let readable = policy.read.iter().chain(&policy.write).chain(private);
    let readable: Vec<String> =
        readable.filter_map(|path| path.canonicalize().ok()?.to_str().map(str::to_owned)).collect();
    let settings = json!({
        "readable": readable,
        "name": manifest.name.value,
        "protocol": manifest.protocol.as_str(),
        "workspace": places.workspace.to_string_lossy(),
        "languages": languages,
        "initialization": manifest.server.initialization,
        "settings": manifest.server.settings,
    });
    Ok(Program::Server { argv, settings: settings.to_string() })
}

/// Memory of each server's extension, for as long as its host lives.
#[derive(Default)]
pub(super) struct KeptMemory(Mutex<BTreeMap<String, Arc<OwnedFd>>>);

impl KeptMemory {
    /// That of an extension; none where its program keeps its state itself.
    pub(super) fn of(&self, manifest: &ExtensionManifest) -> Result<Option<Arc<OwnedFd>>, Errno> {
        if !manifest.protocol.is_foreign() {
            return Ok(None);
        }
        let mut known = self.0.lock();
        if let Some(memory) = known.get(&manifest.name.value) {
            return Ok(Some(Arc::clone(memory)));
        }
        let memory =
            memfd_create("symphony-kept", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&memory, KEPT)?;
        // Its guest makes it neither larger nor smaller.
        fcntl_add_seals(&memory, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        let memory = Arc::new(memory);
        known.insert(manifest.name.value.clone(), Arc::clone(&memory));
        Ok(Some(memory))
    }
}
