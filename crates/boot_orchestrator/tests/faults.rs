//! The faults of a graph: all at once, with places, rings and edits.

mod support;

use boot_orchestrator::Registry;
use component::{ComponentName, Descriptor, Key, Location, Need, NeedKind, Phase};
use support::{descriptor, need, written};

fn faults(descriptors: impl IntoIterator<Item = Descriptor>) -> String {
    let mut registry = Registry::new();
    registry.relative_to("/w");
    for descriptor in descriptors {
        registry.declare(descriptor);
    }
    let faults = registry.plan().expect_err("a graph with faults");
    let texts: Vec<String> =
        faults.diagnostics.iter().map(|fault| fault.text(Some("/w"))).collect();
    texts.join("\n\n")
}

#[test]
fn a_cycle_is_a_ring_with_every_place_and_the_edit() {
    let text = faults([
        descriptor("Planner", Phase::Conductor).needs(written("Index", "Planner", 12)),
        descriptor("Index", Phase::Conductor).needs(written("Planner", "Index", 7)),
    ]);
    insta::assert_snapshot!(text, @r"
    error: dependency cycle: `Planner` -> `Index` -> `Planner`
      app/planner.py:12  `Planner` needs `Index`
      app/index.py:7     `Index` needs `Planner`
    hint: declare `planner: Late[Planner]` at app/index.py:7
    ");
}

#[test]
fn of_a_ring_the_edge_that_a_person_wrote_is_cut_and_one_that_unties_two_rings_before_two() {
    let text = faults([
        descriptor("core", Phase::Conductor).needs(need("A", NeedKind::One)),
        descriptor("A", Phase::Conductor).needs(written("B", "A", 3)).needs(written("C", "A", 4)),
        descriptor("B", Phase::Conductor).needs(written("D", "B", 5)),
        descriptor("C", Phase::Conductor).needs(written("D", "C", 6)),
        descriptor("D", Phase::Conductor).needs(written("core", "D", 8)),
    ]);
    insta::assert_snapshot!(text, @r"
    error: dependency cycle: `core` -> `A` -> `B` -> `D` -> `core`
                  `core` needs `A`
      app/a.py:3  `A` needs `B`
      app/b.py:5  `B` needs `D`
      app/d.py:8  `D` needs `core`
    hint: declare `core: Late[core]` at app/d.py:8
    ");
}

#[test]
fn a_late_edge_hides_no_circle() {
    let late = Need { kind: NeedKind::Late, ..written("B", "A", 1) };
    let text = faults([
        descriptor("A", Phase::Conductor).needs(late).needs(written("B", "A", 2)),
        descriptor("B", Phase::Conductor).needs(written("A", "B", 3)),
    ]);
    insta::assert_snapshot!(text, @r"
    error: dependency cycle: `A` -> `B` -> `A`
      app/a.py:2  `A` needs `B`
      app/b.py:3  `B` needs `A`
    hint: declare `a: Late[A]` at app/b.py:3
    ");
}

#[test]
fn every_fault_comes_at_once_and_in_order() {
    let at = |file: &str, line| Some(Location::new(format!("/w/{file}"), line, 1));
    let mut first = descriptor("store", Phase::Pit);
    first.location = at("store.py", 1);
    let mut second = descriptor("store", Phase::Pit);
    second.location = at("other.py", 9);
    let named = Need { named: Some(ComponentName::from("fats")), ..written("Model", "Uses", 6) };
    let text = faults([
        first,
        second,
        Descriptor::new("slow", Phase::Pit).provides(Key::named("Model")),
        Descriptor::new("fast", Phase::Pit).provides(Key::named("Model")),
        Descriptor::new("Uses", Phase::Pit)
            .needs(written("Model", "Uses", 5))
            .needs(named)
            .needs(written("Modle", "Uses", 7))
            .needs(written("Ghost", "Uses", 8)),
        Descriptor::new("early", Phase::Foundation).needs(written("store", "early", 3)),
        descriptor("X", Phase::Conductor).needs(written("X", "X", 2)),
    ]);
    insta::assert_snapshot!(text, @r#"
    error: two components are named `store`
      store.py:1  `store`
      other.py:9  `store` again
    hint: remove one of them, or give one another name

    error: `Uses` needs one `Model`, and 2 provide it: `slow`, `fast`
      app/uses.py:5  `Uses` needs `Model`
                     `slow` provides `Model`
                     `fast` provides `Model`
    hint: say which one by its name (`Annotated[Model, "slow"]`), or take them all (`Sequence[Model]`)

    error: `Uses` needs `Model` named `fats`, and nobody of that name provides it
      app/uses.py:6
    hint: did you mean the one named `fast`?

    error: `Uses` needs `Modle`, and nobody provides it
      app/uses.py:7
    hint: did you mean `Model`?

    error: `Uses` needs `Ghost`, and nobody provides it
      app/uses.py:8
    hint: register a component that provides `Ghost`

    error: `early` of phase `foundation` needs `store` of the later phase `pit`
      app/early.py:3
    hint: start `early` in phase `pit`, or declare `store: Late[store]` at app/early.py:3

    error: dependency cycle: `X` -> `X`
      app/x.py:2  `X` needs `X`
    hint: declare `x: Late[X]` at app/x.py:2
    "#);
}

#[test]
fn a_need_of_a_later_phase_that_a_circle_cuts_already_is_told_once() {
    let text = faults([
        descriptor("kit", Phase::OrchestraKit).needs(written("Brain", "kit", 4)),
        descriptor("Brain", Phase::Conductor).needs(written("kit", "Brain", 9)),
    ]);
    insta::assert_snapshot!(text, @r"
    error: dependency cycle: `kit` -> `Brain` -> `kit`
      app/kit.py:4    `kit` needs `Brain`
      app/brain.py:9  `Brain` needs `kit`
    hint: declare `brain: Late[Brain]` at app/kit.py:4
    ");
}

#[test]
fn what_the_caller_knows_of_the_key_is_preferred() {
    let hinted =
        Need { remedy: component::Remedy::Mark("FileStore".into()), ..written("Store", "Uses", 5) };
    let text = faults([descriptor("Uses", Phase::Conductor).needs(hinted)]);
    insta::assert_snapshot!(text, @r"
    error: `Uses` needs `Store`, and nobody provides it
      app/uses.py:5
    hint: `FileStore` would fit: mark it with `@component(provides=Store)`
    ");
}

#[test]
fn lawful_graphs_have_no_fault() {
    let mut registry = Registry::new();
    let of = |name: &str| Descriptor::new(name, Phase::Pit).provides(Key::named("Part"));
    let named = Need { named: Some(ComponentName::from("two")), ..need("Part", NeedKind::One) };
    registry.declare(of("one").needs(need("Absent", NeedKind::Optional)));
    registry.declare(of("two").needs(need("Nothing", NeedKind::Every)));
    // It is made of the others, and is one itself.
    registry.declare(of("whole").needs(need("Part", NeedKind::Every)));
    registry.declare(descriptor("user", Phase::Conductor).needs(named));
    registry.declare(descriptor("back", Phase::Foundation).needs(need("user", NeedKind::Late)));
    let plan = registry.plan().unwrap();
    let order: Vec<&str> = plan.components().iter().map(|one| one.name().as_str()).collect();
    assert_eq!(order, ["back", "one", "two", "whole", "user"]);
    let required = |name| -> Vec<String> {
        plan.requires(name).into_iter().map(ToString::to_string).collect()
    };
    assert_eq!(required("whole"), ["one", "two"]);
    assert_eq!(required("user"), ["two"]);
    assert_eq!(required("back"), [] as [String; 0]);
}
