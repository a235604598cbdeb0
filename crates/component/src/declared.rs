//! A component graph that stands in source: [`component_graph!`](crate::component_graph) declares it, the compiler checks
//! it, and registrations take their phases and edges from it.

use crate::{Descriptor, Key, Need, Phase};

/// A component of a declared graph, as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    /// The word by which the declaration and people know it.
    pub label: &'static str,
    /// Its name in errors, events and the report.
    pub name: &'static str,
    /// The id of the key by which others of the graph need it.
    pub key: &'static str,
    /// The phase in which it starts.
    pub phase: Phase,
    /// The labels of what it needs.
    pub needs: &'static [&'static str],
}

/// A graph that [`component_graph!`](crate::component_graph) declared: an enum with a variant for each component.
pub trait ComponentGraph: Copy + PartialEq + 'static {
    /// Every component, in the order of the declaration.
    const ALL: &'static [Self];
    /// What was written of each, in the same order.
    const DECLARED: &'static [Declared];

    /// What was written of this one.
    fn declared(self) -> &'static Declared;

    /// Its name.
    fn name(self) -> &'static str {
        self.declared().name
    }

    /// The component of that name.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }

    /// The key by which others of the graph need it.
    fn key(self) -> Key {
        Key::labelled(self.declared().key, self.declared().label)
    }

    /// What it needs, in the order of the declaration.
    fn needs(self) -> impl Iterator<Item = Self> {
        let labels = self.declared().needs.iter();
        labels.filter_map(|label| {
            Self::ALL.iter().copied().find(|other| other.declared().label == *label)
        })
    }

    /// What the planner is to know of it: its name, phase and key, and those of its needs that are kept. A system need
    /// not start everything that was declared.
    fn descriptor(self, kept: impl Fn(Self) -> bool) -> Descriptor {
        let mut descriptor =
            Descriptor::new(self.name(), self.declared().phase).provides(self.key());
        descriptor.needs =
            self.needs().filter(|other| kept(*other)).map(|other| Need::one(other.key())).collect();
        descriptor
    }
}

/// Declares a component graph as an enum that is a [`ComponentGraph`]. A fault in it is a compile error.
///
/// Each line is a component: the word by which the others name it, its name, and what it needs; `as` gives the key by
/// which it is needed, where that is not its name. What a planner would refuse when it runs is refused by the compiler, in
/// the same words: a circle with its ring, a need that nobody meets, a name twice, a need of a later phase.
///
/// ```
/// component::component_graph! {
///     /// The parts of a small system.
///     pub enum Parts {
///         phase foundation {
///             /// The folder.
///             State "state";
///         }
///         phase pit {
///             /// The store.
///             ArtifactStore "artifact-store" needs State;
///             /// What sweeps it.
///             StaleManager "stale-manager" needs State, ArtifactStore;
///         }
///     }
/// }
/// use component::ComponentGraph as _;
///
/// let descriptor = Parts::StaleManager.descriptor(|_| true);
/// assert_eq!(descriptor.needs.len(), 2);
/// ```
///
/// ```compile_fail
/// component::component_graph! {
///     enum Ring {
///         phase pit {
///             Planner "planner" needs Index;
///             Index "index" needs Planner;
///         }
///     }
/// }
/// ```
#[macro_export]
macro_rules! component_graph {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $graph:ident {
            $(phase $phase:ident {
                $(
                    $(#[$about:meta])*
                    $label:ident $name:literal $(as $key:literal)? $(needs $($need:ident),+)?;
                )*
            })*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $visibility enum $graph {
            $($($(#[$about])* $label,)*)*
        }

        impl $crate::ComponentGraph for $graph {
            const ALL: &'static [Self] = &[$($(Self::$label,)*)*];
            const DECLARED: &'static [$crate::Declared] = &[$($($crate::Declared {
                label: stringify!($label),
                name: $name,
                key: $crate::declared_key($name, &[$($key)?]),
                phase: $crate::declared_phase(stringify!($phase)),
                needs: &[$($(stringify!($need)),+)?],
            },)*)*];

            fn declared(self) -> &'static $crate::Declared {
                &Self::DECLARED[self as usize]
            }
        }

        $(const _: () = {
            let faults = $crate::phase_faults(stringify!($phase));
            if !faults.is_empty() {
                ::core::panic!("{}", faults.as_str());
            }
        };)*
        const _: () = {
            const ALL: &[$crate::Declared] = <$graph as $crate::ComponentGraph>::DECLARED;
            let faults = $crate::graph_faults::<{ ALL.len() }, { $crate::count_needs(ALL) }>(ALL);
            if !faults.is_empty() {
                ::core::panic!("{}", faults.as_str());
            }
        };
    };
}
