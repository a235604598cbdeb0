//! What the compiler says of a declared graph is what the planner says of the same components when they are registered.

use std::collections::BTreeSet;

use boot_orchestrator::Registry;
use component::{Code, Declared, Descriptor, Key, Need, Phase, count_needs, graph_faults};
use proptest::prelude::*;

const NAMES: [&str; 6] = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"];
const LABELS: [&str; 7] = ["Alpha", "Beta", "Gamma", "Delta", "Epsilon", "Zeta", "Nowhere"];
const MOST_NEEDS: usize = 18;

/// One component: the number of its name, its phase, the numbers of what it needs.
type Written = (usize, usize, Vec<usize>);

fn graphs() -> impl Strategy<Value = Vec<Written>> {
    let one = |at: usize| {
        // Mostly its own name, few phases and few strangers, so that most graphs have one fault or none.
        let name = prop_oneof![9 => Just(at), 1 => 0..NAMES.len()];
        let phase = prop_oneof![4 => Just(2_usize), 1 => 0..5_usize];
        let need = prop_oneof![12 => 0..NAMES.len(), 1 => Just(NAMES.len())];
        (name, phase, prop::collection::vec(need, 0..3))
    };
    (one(0), one(1), one(2), one(3), one(4), one(5))
        .prop_map(|(a, b, c, d, e, f)| vec![a, b, c, d, e, f])
}

fn declared(graph: &[Written]) -> Vec<Declared> {
    graph
        .iter()
        .enumerate()
        .map(|(at, (name, phase, needs))| Declared {
            label: LABELS[at],
            name: NAMES[*name],
            // A key of its own, as every name has that stands once.
            key: LABELS[at],
            phase: Phase::ALL[*phase],
            needs: needs.iter().map(|need| LABELS[*need]).collect::<Vec<_>>().leak(),
        })
        .collect()
}

fn registered(graph: &[Declared]) -> Registry {
    let mut registry = Registry::new();
    for one in graph {
        let mut descriptor =
            Descriptor::new(one.name, one.phase).provides(Key::labelled(one.key, one.label));
        for need in one.needs {
            descriptor = descriptor.needs(Need::one(Key::labelled(*need, *need)));
        }
        registry.declare(descriptor);
    }
    registry
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn the_compiler_and_the_planner_say_the_same(graph in graphs()) {
        let graph = declared(&graph);
        prop_assert!(count_needs(&graph) <= MOST_NEEDS);
        let found = graph_faults::<{ NAMES.len() }, MOST_NEEDS>(&graph);
        let told: BTreeSet<&str> = found.as_str().lines().collect();
        let planned = registered(&graph).plan();
        prop_assert_eq!(found.is_empty(), planned.is_ok());
        let faults = planned.err().map(|faults| faults.diagnostics).unwrap_or_default();
        let messages: BTreeSet<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        for fault in &faults {
            // The planner goes on where a knot of components has more than one ring.
            let told = told.contains(&*fault.message) || fault.code == Code::DEPENDENCY_CYCLE;
            prop_assert!(told, "untold: {}", fault.message);
        }
        for line in told {
            // A need of a later phase that closes a ring is told by the planner with the ring alone.
            prop_assert!(messages.contains(line) || line.contains("of the later phase"), "made up: {}", line);
        }
    }
}

component::component_graph! {
    /// As long a chain as any graph of ours will be: the compiler follows it without complaint.
    enum Chain {
        phase pit {
            C0 "c0" needs C1; C1 "c1" needs C2; C2 "c2" needs C3; C3 "c3" needs C4; C4 "c4" needs C5;
            C5 "c5" needs C6; C6 "c6" needs C7; C7 "c7" needs C8; C8 "c8" needs C9; C9 "c9" needs C10;
            C10 "c10" needs C11; C11 "c11" needs C12; C12 "c12" needs C13; C13 "c13" needs C14;
            C14 "c14" needs C15; C15 "c15" needs C16; C16 "c16" needs C17; C17 "c17" needs C18;
            C18 "c18" needs C19; C19 "c19" needs C20; C20 "c20" needs C21; C21 "c21" needs C22;
            C22 "c22" needs C23; C23 "c23" needs C24; C24 "c24" needs C25; C25 "c25" needs C26;
            C26 "c26" needs C27; C27 "c27" needs C28; C28 "c28" needs C29; C29 "c29" needs C30;
            C30 "c30" needs C31; C31 "c31";
        }
    }
}

#[test]
fn a_declared_graph_is_planned_in_its_order() {
    use component::ComponentGraph as _;
    let mut registry = Registry::new();
    for one in Chain::ALL {
        registry.declare(one.descriptor(|_| true));
    }
    let plan = registry.plan().expect("it compiled");
    let first = plan.components().first().map(|one| one.name().as_str().to_owned());
    assert_eq!(first.as_deref(), Some("c31"));
    assert_eq!(plan.components().len(), 32);
}
