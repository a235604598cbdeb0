//! The plan of a boot: every component in its order, every need bound. Immutable, and valid by construction.
//!
//! The order is by phase, then by wave (how many needs of the same phase lie beneath), then as registered: the same for the
//! same registry, always. The executor does not follow it one by one: it begins a component the moment its needs are
//! healthy; the plan says what these are.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use component::{Component, ComponentName, Descriptor, Diagnostic, Phase};

use crate::graph::bind::bind;
use crate::graph::edges::{Edge, Graph, Neighbours, index};
use crate::graph::error::PlanFaults;
use crate::graph::registry::{Entry, Registry};
use crate::graph::{cycles, faults};

/// A valid plan. Cheap to clone.
#[derive(Clone)]
pub struct Plan(Arc<Inner>);

struct Inner {
    components: Vec<Planned>,
    edges: Vec<Edge>,
    needs: Neighbours,
    dependants: Neighbours,
    phases: [Range<usize>; Phase::ALL.len()],
    names: HashMap<ComponentName, u32>,
}

/// A component in the plan.
#[derive(Clone)]
pub struct Planned {
    descriptor: Arc<Descriptor>,
    component: Arc<dyn Component>,
    wave: u32,
}

impl Planned {
    /// Its descriptor.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Its name.
    pub fn name(&self) -> &ComponentName {
        &self.descriptor.name
    }

    /// The thing itself.
    pub fn component(&self) -> &Arc<dyn Component> {
        &self.component
    }

    /// How many needs of its own phase lie beneath it, one upon the other.
    pub fn wave(&self) -> u32 {
        self.wave
    }
}

impl Plan {
    /// Orders everything that was registered, or says everything that is wrong.
    ///
    /// # Errors
    /// [`PlanFaults`] with every fault of the graph at once, in a deterministic order.
    pub fn of(registry: &Registry) -> Result<Self, PlanFaults> {
        let (entries, directory) = (registry.entries(), registry.directory());
        let descriptors = entries.iter().map(|entry| &*entry.descriptor).collect();
        let (graph, mut found) = bind(descriptors);
        let waves = waves(&graph);
        let against: Vec<u32> = (0..index(graph.edges.len()))
            .filter(|edge| graph.is_against_phases(&graph.edges[*edge as usize]))
            .collect();
        match waves {
            Some(waves) if found.is_empty() && against.is_empty() => {
                Ok(Self::assemble(entries, &graph.edges, &waves))
            }
            waves => {
                found.extend(order_faults(&graph, &against, waves.is_none(), directory));
                Err(PlanFaults { diagnostics: found })
            }
        }
    }

    fn assemble(entries: &[Entry], edges: &[Edge], waves: &[u32]) -> Self {
        let mut order: Vec<u32> = (0..index(entries.len())).collect();
        let phase = |at: u32| entries[at as usize].descriptor.phase;
        order.sort_by_key(|at| (phase(*at), waves[*at as usize]));
        let mut places = vec![0; order.len()];
        for (place, at) in (0_u32..).zip(&order) {
            places[*at as usize] = place;
        }
        let mut edges: Vec<Edge> = edges
            .iter()
            .map(|edge| Edge {
                from: places[edge.from as usize],
                to: places[edge.to as usize],
                ..*edge
            })
            .collect();
        // Stable: the providers of one need stand in plan order, which is the order in which `Every` gives them.
        edges.sort_by_key(|edge| (edge.from, edge.need, edge.to));
        let components: Vec<Planned> = order
            .iter()
            .map(|at| {
                let entry = &entries[*at as usize];
                Planned {
                    descriptor: Arc::clone(&entry.descriptor),
                    component: Arc::clone(&entry.component),
                    wave: waves[*at as usize],
                }
            })
            .collect();
        let phases = Phase::ALL.map(|phase| {
            let start = components.partition_point(|one| one.descriptor.phase < phase);
            start..components.partition_point(|one| one.descriptor.phase <= phase)
        });
        let numbered = (0_u32..).zip(&edges);
        let needs = Neighbours::group(
            components.len(),
            numbered.clone().map(|(number, edge)| (edge.from, number)),
        );
        let dependants =
            Neighbours::group(components.len(), numbered.map(|(number, edge)| (edge.to, number)));
        let names = (0_u32..)
            .zip(&components)
            .map(|(place, one)| (one.descriptor.name.clone(), place))
            .collect();
        Self(Arc::new(Inner { components, edges, needs, dependants, phases, names }))
    }

    /// Every component, in plan order. A component's number is its place here.
    pub fn components(&self) -> &[Planned] {
        &self.0.components
    }

    /// The components of one phase.
    pub fn phase(&self, phase: Phase) -> &[Planned] {
        &self.0.components[self.range(phase)]
    }

    /// The numbers of the components of one phase.
    pub fn range(&self, phase: Phase) -> Range<usize> {
        self.0.phases[phase as usize].clone()
    }

    /// The number of the component of that name.
    pub fn find(&self, name: &str) -> Option<u32> {
        self.0.names.get(name).copied()
    }

    /// The edges from a component to what it needs, late ones included, in the order of its needs.
    pub fn needs(&self, component: u32) -> impl Iterator<Item = &Edge> {
        self.0.needs.of(component).iter().map(|edge| &self.0.edges[*edge as usize])
    }

    /// The edges from those that need a component, late ones included.
    pub fn dependants(&self, component: u32) -> impl Iterator<Item = &Edge> {
        self.0.dependants.of(component).iter().map(|edge| &self.0.edges[*edge as usize])
    }

    /// The names of what a component waits for, each once, in plan order; late edges are none of them.
    pub fn requires(&self, name: &str) -> Vec<&ComponentName> {
        self.find(name).map(|component| self.required_names(component)).unwrap_or_default()
    }

    pub(crate) fn required_names(&self, component: u32) -> Vec<&ComponentName> {
        let mut places: Vec<u32> =
            self.needs(component).filter(|edge| edge.orders()).map(|edge| edge.to).collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|place| &self.0.components[place as usize].descriptor.name).collect()
    }

    /// Every edge, late ones included, by consumer and need.
    pub fn edges(&self) -> &[Edge] {
        &self.0.edges
    }
}

impl Registry {
    /// [`Plan::of`] this registry. Written here and not beside the registry, which does not know what is made of it.
    ///
    /// # Errors
    /// As [`Plan::of`].
    pub fn plan(&self) -> Result<Plan, PlanFaults> {
        Plan::of(self)
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list().entries(self.components().iter().map(Planned::name)).finish()
    }
}

/// For each component, how many needs of its own phase lie beneath it; none when there is a circle.
fn waves(graph: &Graph<'_>) -> Option<Vec<u32>> {
    let count = graph.descriptors.len();
    let ordering = graph.edges.iter().filter(|edge| edge.orders());
    let followers = Neighbours::group(count, ordering.clone().map(|edge| (edge.to, edge.from)));
    let mut waiting = vec![0_u32; count];
    for edge in ordering {
        waiting[edge.from as usize] += 1;
    }
    let mut waves = vec![0; count];
    let mut ready: Vec<u32> =
        (0..index(count)).filter(|node| waiting[*node as usize] == 0).collect();
    let mut done = 0;
    while let Some(node) = ready.pop() {
        done += 1;
        let phase = graph.descriptors[node as usize].phase;
        for follower in followers.of(node) {
            let at = *follower as usize;
            if graph.descriptors[at].phase == phase {
                waves[at] = waves[at].max(waves[node as usize] + 1);
            }
            waiting[at] -= 1;
            if waiting[at] == 0 {
                ready.push(*follower);
            }
        }
    }
    (done == count).then_some(waves)
}

/// Needs of later phases, and circles. A need whose edit a circle suggests already is not told twice.
fn order_faults(
    graph: &Graph<'_>,
    against: &[u32],
    circular: bool,
    directory: Option<&str>,
) -> Vec<Diagnostic> {
    let cycles = circular.then(|| cycles::find(graph, directory));
    let need = |edge: u32| {
        let edge = &graph.edges[edge as usize];
        (edge.from, edge.need)
    };
    let edited: HashSet<(u32, u32)> =
        cycles.iter().flat_map(|cycles| cycles.late.iter().map(|edge| need(*edge))).collect();
    let mut found: Vec<Diagnostic> = against
        .iter()
        .filter(|edge| !edited.contains(&need(**edge)))
        .map(|edge| faults::phase_order(graph, &graph.edges[*edge as usize], directory))
        .collect();
    found.extend(cycles.into_iter().flat_map(|cycles| cycles.diagnostics));
    found
}
