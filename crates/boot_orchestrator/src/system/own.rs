//! What Symphony itself starts, in which phase, and what of it waits for what. A circle in it does not compile.
//!
//! `foundation`, `members` and `extensions` take their descriptors from here; what a system does not start (no supervisor
//! without a manifest, no member that a caller replaces) is left out there.

use component::{ComponentGraph as _, Phase};

component::component_graph! {
    /// Symphony's own components; the labels are what Python calls their handles.
    pub(super) enum Own {
        phase foundation {
            /// The folder of this system, locked.
            State "state";
            /// The process that forks and ends all others.
            Supervisor "supervisor";
        }
        phase ipc_bus {
            /// The kit needs its lanes also where a caller's own object stands in for the bus.
            IpcBus "ipc-bus" as "lanes";
        }
        phase pit {
            /// Pools of resources.
            PoolManager "pool-manager" needs State;
            /// Runs of graphs.
            DagTracker "dag-tracker" needs State, PoolManager;
            /// What work produced.
            ArtifactStore "artifact-store" needs State;
            /// Rules over candidates.
            ArbitrationEngine "arbitration-engine" needs State, PoolManager, ArtifactStore;
            /// What sweeps the store.
            StaleManager "stale-manager" needs State, ArtifactStore, PoolManager, DagTracker;
            /// All members at once.
            Pit "pit" needs PoolManager, DagTracker, ArtifactStore, ArbitrationEngine, StaleManager;
        }
        phase orchestra_kit {
            /// Both hosts and the engine of Melodies.
            OrchestraKit "orchestra-kit" needs IpcBus, Supervisor, Pit;
        }
    }
}

/// A part of Symphony that has a handle in Python: what annotations ask for, and what overrides stand in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnPart {
    /// Its component's name, and the id of the key of its handle.
    pub name: &'static str,
    /// The name of the handle's class in the package `symphony`.
    pub class: &'static str,
    /// The phase in which it starts.
    pub phase: Phase,
    /// The attribute of `Pit` that has it, where it is a member.
    pub attribute: Option<&'static str>,
}

/// Every part that Python has a handle of: the one table of them.
pub fn own_parts() -> impl Iterator<Item = OwnPart> {
    Own::ALL.iter().filter_map(|own| {
        let attribute = match own {
            Own::State | Own::Supervisor => return None,
            Own::IpcBus | Own::Pit | Own::OrchestraKit => None,
            Own::PoolManager => Some("pool"),
            Own::DagTracker => Some("dag"),
            Own::ArtifactStore => Some("artifacts"),
            Own::ArbitrationEngine => Some("arbitration"),
            Own::StaleManager => Some("stale"),
        };
        let declared = own.declared();
        let (name, class, phase) = (declared.name, declared.label, declared.phase);
        Some(OwnPart { name, class, phase, attribute })
    })
}

#[cfg(test)]
mod tests {
    use component::{ComponentGraph as _, Descriptor};
    use orchestra_kit::manifest::Member;
    use pit::stale_manager::StoreLimits;

    use super::Own;
    use crate::Registry;
    use crate::system::{System, SystemOptions};

    fn edges(descriptor: &Descriptor) -> Vec<String> {
        let mut edges: Vec<String> =
            descriptor.needs.iter().map(|need| need.key.id().to_owned()).collect();
        edges.sort();
        edges
    }

    /// What a system with a manifest and all members registers.
    fn registered() -> Registry {
        let folder = tempfile::tempdir().expect("a folder");
        let manifest = folder.path().join("Symphony.toml");
        std::fs::write(&manifest, "[system]\nname = \"own\"\n").expect("a manifest");
        let options = SystemOptions { manifest: Some(manifest), ..SystemOptions::default() };
        let system = System::described(options).expect("the manifest is in order");
        let mut registry = Registry::new();
        system.register(&mut registry);
        registry
    }

    #[test]
    fn what_is_declared_is_what_is_registered() {
        let registry = registered();
        let mut names: Vec<&str> = registry.descriptors().map(|one| one.name.as_str()).collect();
        let mut declared: Vec<&str> = Own::ALL.iter().map(|one| one.name()).collect();
        names.sort_unstable();
        declared.sort_unstable();
        assert_eq!(names, declared);
        for descriptor in registry.descriptors() {
            let own = Own::named(descriptor.name.as_str()).expect("it was declared");
            let whole = own.descriptor(|_| true);
            assert_eq!(descriptor.phase, whole.phase, "{own:?}");
            assert_eq!(edges(descriptor), edges(&whole), "{own:?}");
            assert!(descriptor.provides.contains(&own.key()), "{own:?}");
        }
        assert!(registry.plan().is_ok());
    }

    #[test]
    fn limits_without_who_keeps_them_are_refused_wherever_they_are_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("Symphony.toml");
        std::fs::write(&path, "[system.store]\nkeep = \"30d\"\n").expect("a manifest");
        let store = StoreLimits { cap: Some(1000), ..StoreLimits::default() };
        for (manifest, store) in [(Some(path), StoreLimits::default()), (None, store)] {
            let open = |members: &[&str]| {
                let members = Some(members.iter().map(|&name| name.to_owned()).collect());
                let manifest = manifest.clone();
                System::described(SystemOptions {
                    manifest,
                    members,
                    store,
                    ..SystemOptions::default()
                })
            };
            let refused = open(&["artifact-store"]).err().expect("nobody would keep them");
            assert!(refused[0].message.contains("need `stale-manager`"), "{refused:?}");
            assert!(
                open(&["artifact-store", "pool-manager", "dag-tracker", "stale-manager"]).is_ok()
            );
        }
    }

    #[test]
    fn members_are_built_on_what_their_manifest_says() {
        for member in Member::ALL {
            let own = Own::named(member.as_str()).expect("every member is declared");
            let mut needed: Vec<&str> = own.needs().map(Own::name).collect();
            needed.retain(|name| *name != Own::State.name());
            let mut required: Vec<&str> =
                member.requires().iter().copied().map(Member::as_str).collect();
            needed.sort_unstable();
            required.sort_unstable();
            assert_eq!(needed, required, "{member}");
            assert!(Own::Pit.needs().any(|one| one == own), "{member}");
        }
    }
}
