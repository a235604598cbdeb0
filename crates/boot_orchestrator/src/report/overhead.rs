//! `overhead_seconds`: what Symphony itself costs a boot.
//!
//! The rule: the wall time of the boot in which nothing else was on the critical path. Each moment of the critical path
//! belongs to one thing. A start or a health answer of a component that is `Work::Other` (user code, a child's start-up, a
//! declared wait) and a wait at a latch are not overhead; everything else is: starts and answers of Symphony's own
//! components, and all time between steps. So work of Symphony's that runs beside a long import costs nothing, because the
//! boot would be no sooner without it, and work of others beside a longer piece of Symphony's hides nothing.

use component::Work;

use crate::graph::plan::Plan;
use crate::report::critical_path::{Owner, Piece};

/// The seconds of the path that are Symphony's own.
pub(crate) fn seconds(plan: &Plan, pieces: &[Piece]) -> f64 {
    pieces
        .iter()
        .filter(|piece| match piece.owner {
            Owner::Engine => true,
            Owner::Wait | Owner::Outside(_) => false,
            Owner::Start(number) | Owner::Health(number) => {
                plan.components()[number as usize].descriptor().work == Work::Own
            }
        })
        .map(|piece| piece.span.to - piece.span.from)
        .sum()
}

#[cfg(test)]
mod tests {
    use component::{Descriptor, Key, Need, Phase, Work};

    use super::seconds;
    use crate::event::boot_event::{BootEvent, Stamped, Status};
    use crate::graph::plan::Plan;
    use crate::graph::registry::Registry;
    use crate::report::critical_path::{names, pieces, through};
    use crate::report::outside::{AwaitedBy, Stretch};
    use crate::report::timeline::{Span, Timeline};

    fn one(name: &str, phase: Phase, work: Work, needs: &[&str]) -> Descriptor {
        let mut one = Descriptor::new(name, phase).provides(Key::named(name));
        one.work = work;
        needs.iter().fold(one, |one, need| one.needs(Need::one(Key::named(*need))))
    }

    fn plan(descriptors: Vec<Descriptor>) -> Plan {
        let mut registry = Registry::new();
        for descriptor in descriptors {
            registry.declare(descriptor);
        }
        registry.plan().unwrap()
    }

    fn start(name: &str, phase: Phase, from: f64, to: f64) -> [Stamped; 2] {
        let component = name.into();
        let begun = BootEvent::ComponentStarted { component, phase };
        let ended = BootEvent::ComponentFinished {
            component: name.into(),
            phase,
            status: Status::Ready,
            seconds: to - from,
            reason: None,
            late: false,
        };
        [Stamped { at: from, event: begun }, Stamped { at: to, event: ended }]
    }

    fn phase(phase: Phase, from: f64, gate: f64, to: f64) -> [Stamped; 3] {
        let seconds = to - from;
        let ended = BootEvent::PhaseFinished { phase, status: Status::Ready, seconds };
        [
            Stamped { at: from, event: BootEvent::PhaseStarted { phase, components: 1 } },
            Stamped { at: gate, event: BootEvent::GateStarted { phase } },
            Stamped { at: to, event: ended },
        ]
    }

    fn told(plan: &Plan, events: &[Stamped], end: f64) -> (f64, String) {
        let timeline = Timeline::of(plan, events, end);
        let pieces = pieces(plan, &timeline);
        let whole: f64 = pieces.iter().map(|piece| piece.span.to - piece.span.from).sum();
        assert!((whole - end).abs() < 1e-9, "the pieces leave a gap: {pieces:?}");
        let names: Vec<String> =
            names(plan, &pieces, &[]).iter().map(ToString::to_string).collect();
        ((seconds(plan, &pieces) * 1e6).round() / 1e6, names.join(" "))
    }

    #[test]
    fn own_work_beside_a_longer_import_costs_nothing() {
        let plan = plan(vec![
            one("import", Phase::Pit, Work::Other, &[]),
            one("store", Phase::Pit, Work::Own, &[]),
            one("index", Phase::Pit, Work::Own, &["store"]),
        ]);
        let mut events = Vec::from(phase(Phase::Pit, 0.1, 1.1, 1.2));
        events.extend(start("import", Phase::Pit, 0.1, 1.0));
        events.extend(start("store", Phase::Pit, 0.1, 0.4));
        events.extend(start("index", Phase::Pit, 0.4, 0.9));
        // 0.1 before the phase, 0.1 until the gate, 0.1 in it.
        assert_eq!(told(&plan, &events, 1.2), (0.3, "import".to_owned()));
    }

    #[test]
    fn a_shorter_import_hides_no_own_work() {
        let plan = plan(vec![
            one("import", Phase::Pit, Work::Other, &[]),
            one("store", Phase::Pit, Work::Own, &[]),
            one("index", Phase::Pit, Work::Own, &["store"]),
        ]);
        let mut events = Vec::from(phase(Phase::Pit, 0.0, 1.0, 1.0));
        events.extend(start("import", Phase::Pit, 0.0, 0.9));
        events.extend(start("store", Phase::Pit, 0.0, 0.5));
        events.extend(start("index", Phase::Pit, 0.6, 1.0));
        assert_eq!(told(&plan, &events, 1.0), (1.0, "store index".to_owned()));
    }

    #[test]
    fn the_path_goes_through_phases_waits_and_the_answers_of_others() {
        let plan = plan(vec![
            one("lanes", Phase::IpcBus, Work::Own, &[]),
            one("user", Phase::Conductor, Work::Other, &["lanes"]),
        ]);
        let conductor = Phase::Conductor;
        let mut events = Vec::from(phase(Phase::IpcBus, 0.0, 0.2, 0.3));
        events.extend(start("lanes", Phase::IpcBus, 0.0, 0.2));
        let waited = BootEvent::WaitFinished { phase: conductor, seconds: 2.0 };
        events.push(Stamped { at: 2.3, event: waited });
        events.extend(phase(conductor, 2.3, 3.0, 3.5));
        events.extend(start("user", conductor, 2.4, 3.0));
        let answered = BootEvent::HealthFinished {
            component: "user".into(),
            health: "healthy",
            seconds: 0.4,
            reason: None,
        };
        events.push(Stamped { at: 3.4, event: answered });
        // The bus 0.3, until the start 0.1, after the answer 0.1; not the wait, the user's start and answer.
        assert_eq!(told(&plan, &events, 3.5), (0.5, "lanes user".to_owned()));
    }

    #[test]
    fn an_import_beside_the_phases_is_the_path_and_no_overhead() {
        let plan = plan(vec![
            one("store", Phase::Pit, Work::Own, &[]),
            one("conductor", Phase::Conductor, Work::Other, &[]),
        ]);
        let mut events = Vec::from(phase(Phase::Pit, 0.1, 0.3, 0.3));
        events.extend(start("store", Phase::Pit, 0.1, 0.3));
        events.extend(phase(Phase::Conductor, 0.3, 1.3, 1.3));
        events.extend(start("conductor", Phase::Conductor, 0.3, 1.25));
        let timeline = Timeline::of(&plan, &events, 1.3);
        let import = Stretch {
            span: Span { from: 0.02, to: 1.2 },
            awaited_by: AwaitedBy::Start("conductor".into()),
        };
        let path = through(&plan, pieces(&plan, &timeline), &[import]);
        let told: Vec<String> =
            names(&plan, &path, &["import".into()]).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["import", "conductor"]);
        // 20 ms before the import began, 50 ms after the conductor's start.
        assert!((seconds(&plan, &path) - 0.07).abs() < 1e-9, "{path:?}");
    }

    #[test]
    fn an_import_before_the_plan_is_the_path_unless_a_longer_child_comes_up_beside_it() {
        let plan = plan(vec![
            one("supervisor", Phase::Foundation, Work::Other, &[]),
            one("conductor", Phase::Conductor, Work::Other, &[]),
        ]);
        let foundation = Phase::Foundation;
        let told = |process_up: f64, begun: f64| {
            let up = process_up.max(begun);
            let mut events = Vec::from(phase(foundation, begun, up, up));
            events.extend(start("supervisor", foundation, begun, up));
            events.extend(phase(Phase::Conductor, up, up + 0.1, up + 0.1));
            events.extend(start("conductor", Phase::Conductor, up, up + 0.1));
            let timeline = Timeline::of(&plan, &events, up + 0.1);
            let outside = [
                Stretch {
                    span: Span { from: 0.0, to: process_up },
                    awaited_by: AwaitedBy::Start("supervisor".into()),
                },
                Stretch { span: Span { from: 0.01, to: 0.51 }, awaited_by: AwaitedBy::Plan },
            ];
            let path = through(&plan, pieces(&plan, &timeline), &outside);
            let all = names(&plan, &path, &["process".into(), "import".into()]);
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            ((seconds(&plan, &path) * 1e6).round() / 1e6, all.join(" "))
        };
        // 10 ms before the import and 20 ms after it, in which the plan was made.
        assert_eq!(told(0.06, 0.53), (0.03, "import supervisor conductor".to_owned()));
        assert_eq!(told(0.9, 0.53), (0.0, "process supervisor conductor".to_owned()));
    }
}
