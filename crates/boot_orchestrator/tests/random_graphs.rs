//! Random graphs against a naive oracle: every circle is found and no other, and the edits that are suggested undo them.

mod support;

use std::collections::BTreeSet;

use boot_orchestrator::{Plan, PlanFaults, Registry};
use component::{Code, NeedKind, Phase};
use proptest::prelude::*;
use support::{descriptor, written};

type Edges = Vec<(usize, usize, NeedKind)>;

fn kind() -> impl Strategy<Value = NeedKind> {
    prop_oneof![
        4 => Just(NeedKind::One),
        1 => Just(NeedKind::Optional),
        1 => Just(NeedKind::Every),
        1 => Just(NeedKind::Late),
    ]
}

fn graph() -> impl Strategy<Value = (usize, Edges)> {
    (1..9_usize).prop_flat_map(|count| {
        (Just(count), prop::collection::vec((0..count, 0..count, kind()), 0..count * 2))
    })
}

/// The line of a need says which edge it is.
fn plan(count: usize, edges: &Edges) -> Result<Plan, PlanFaults> {
    let mut registry = Registry::new();
    for place in 0..count {
        let name = format!("c{place}");
        let mut one = descriptor(&name, Phase::Conductor);
        for (line, (_, to, kind)) in (1..).zip(edges).filter(|(_, edge)| edge.0 == place) {
            let mut need = written(&format!("c{to}"), &name, line);
            need.kind = *kind;
            one = one.needs(need);
        }
        registry.declare(one);
    }
    registry.plan()
}

/// Edges that order; who takes every provider is never one of its own.
fn ordering(edges: &Edges) -> impl Iterator<Item = (usize, usize)> + '_ {
    let orders = |(from, to, kind): &&(usize, usize, NeedKind)| {
        *kind != NeedKind::Late && !(*kind == NeedKind::Every && from == to)
    };
    edges.iter().filter(orders).map(|(from, to, _)| (*from, *to))
}

/// Components that reach themselves.
fn circular(count: usize, edges: &Edges) -> BTreeSet<String> {
    let mut reach = vec![vec![false; count]; count];
    for (from, to) in ordering(edges) {
        reach[from][to] = true;
    }
    for via in 0..count {
        for from in 0..count {
            for to in 0..count {
                reach[from][to] |= reach[from][via] && reach[via][to];
            }
        }
    }
    (0..count).filter(|place| reach[*place][*place]).map(|place| format!("c{place}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_circle_is_found_and_no_other((count, edges) in graph()) {
        let circular = circular(count, &edges);
        let Err(faults) = plan(count, &edges) else {
            prop_assert!(circular.is_empty());
            return Ok(());
        };
        let mut cut = edges.clone();
        for fault in &faults.diagnostics {
            prop_assert_eq!(fault.code, Code::DEPENDENCY_CYCLE);
            let path = &fault.path;
            prop_assert!(path.iter().collect::<BTreeSet<_>>().len() == path.len());
            for (at, from) in path.iter().enumerate() {
                prop_assert!(circular.contains(from), "{} is in no circle", from);
                let to = &path[(at + 1) % path.len()];
                let is_edge = ordering(&edges)
                    .any(|(one, other)| format!("c{one}") == *from && format!("c{other}") == *to);
                prop_assert!(is_edge, "{} -> {}", from, to);
            }
            let hint = fault.hint.as_deref().unwrap_or_default();
            let line: usize = hint.rsplit(':').next().unwrap().parse().unwrap();
            cut[line - 1].2 = NeedKind::Late;
        }
        prop_assert!(!circular.is_empty());
        prop_assert!(plan(count, &cut).is_ok(), "the edits do not undo every circle");
        let again = plan(count, &edges).unwrap_err();
        prop_assert_eq!(again.diagnostics, faults.diagnostics);
    }

    #[test]
    fn a_plan_is_in_order((count, edges) in graph()) {
        let Ok(plan) = plan(count, &edges) else { return Ok(()) };
        prop_assert_eq!(plan.components().len(), count);
        for (from, to) in ordering(&edges) {
            let place = |node: usize| plan.find(&format!("c{node}")).unwrap();
            prop_assert!(place(to) < place(from));
        }
    }
}
