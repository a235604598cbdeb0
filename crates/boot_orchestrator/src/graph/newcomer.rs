//! One component comes to others that were planned before: an object that is swapped in, or a Conductor whose source told
//! less than its import.
//!
//! Called by the bindings. Invariant: the newcomer is judged by the planner itself, among the descriptors of what is there,
//! so that its faults have the planner's words, places and hints.

use component::{Code, ComponentName, Descriptor, Diagnostic};

use crate::graph::registry::Registry;

/// What the planner has against the descriptor at `place`, the newcomer's.
///
/// # Arguments
/// * `own` - what the core started; whoever of it provides a key of the others has lost its place to them.
/// * `others` - every other component, with the newcomer in the place of the one that it replaces, under that one's name.
/// * `called` - what people call the newcomer: its name in the faults, where nothing else has it or asks for the other one.
pub fn newcomer_faults(
    mut own: Registry,
    mut others: Vec<Descriptor>,
    place: usize,
    called: ComponentName,
) -> Vec<Diagnostic> {
    let Some(newcomer) = others.get(place) else { return Vec::new() };
    let mut name = newcomer.name.clone();
    let is_free = !others.iter().any(|other| other.name == called)
        && !own.descriptors().any(|other| other.name == called);
    let is_asked_for =
        others.iter().flat_map(|other| &other.needs).any(|need| need.named.as_ref() == Some(&name));
    if is_free && !is_asked_for {
        others[place].name = called.clone();
        name = called;
    }
    for other in others {
        own.stand_in(other);
    }
    let found = own.plan().err().map(|faults| faults.diagnostics).unwrap_or_default();
    found.into_iter().filter(|fault| is_of(fault, &name)).collect()
}

/// Whether a fault is the newcomer's. Phases are over by now: what it needs has started, or never will.
fn is_of(fault: &Diagnostic, name: &ComponentName) -> bool {
    match fault.code {
        Code::DEPENDENCY_CYCLE => fault.path.iter().any(|step| step == name.as_str()),
        Code::MISSING_DEPENDENCY | Code::AMBIGUOUS_DEPENDENCY => {
            fault.path.first().is_some_and(|step| step == name.as_str())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use component::{Key, Need, NeedKind, Phase, Remedy};

    use super::*;

    fn made(name: &str, needs: &[&str]) -> Descriptor {
        let mut made =
            Descriptor::new(name, Phase::Conductor).provides(Key::named(name.to_owned()));
        made.needs = needs.iter().map(|key| Need::one(Key::named((*key).to_owned()))).collect();
        made
    }

    fn texts(faults: &[Diagnostic]) -> Vec<&str> {
        faults.iter().map(|fault| fault.message.as_str()).collect()
    }

    #[test]
    fn a_newcomer_that_fits_has_no_faults() {
        let others = vec![made("store", &[]), made("user", &["store"])];
        assert!(newcomer_faults(Registry::new(), others, 0, "better".into()).is_empty());
    }

    #[test]
    fn what_is_missing_is_told_under_its_own_name_and_that_it_is_too_late() {
        let mut newcomer = made("store", &["gone"]);
        newcomer.needs[0].remedy = Remedy::TooLate;
        let others = vec![newcomer, made("user", &["store"])];
        let faults = newcomer_faults(Registry::new(), others, 0, "better".into());
        assert_eq!(texts(&faults), ["`better` needs `gone`, and nobody provides it"]);
        assert!(faults[0].hint.as_deref().is_some_and(|hint| hint.starts_with("only what was")));
    }

    #[test]
    fn a_ring_through_the_place_is_a_circle() {
        let others = vec![made("store", &["user"]), made("user", &["store"])];
        let faults = newcomer_faults(Registry::new(), others, 0, "ring".into());
        assert_eq!(texts(&faults), ["dependency cycle: `ring` -> `user` -> `ring`"]);
    }

    #[test]
    fn a_name_that_somebody_asks_for_stays() {
        let mut user = made("user", &["store"]);
        user.needs[0].named = Some("store".into());
        let others = vec![made("store", &["gone"]), user];
        let faults = newcomer_faults(Registry::new(), others, 0, "better".into());
        assert_eq!(texts(&faults), ["`store` needs `gone`, and nobody provides it"]);
    }

    #[test]
    fn the_faults_of_others_and_those_of_phases_are_not_its_own() {
        let mut newcomer = made("store", &["later"]);
        newcomer.phase = Phase::Pit;
        let mut broken = made("broken", &["nothing"]);
        broken.needs[0].kind = NeedKind::One;
        let others = vec![newcomer, made("later", &[]), broken];
        assert!(newcomer_faults(Registry::new(), others, 0, "better".into()).is_empty());
    }

    #[test]
    fn it_may_stand_where_the_core_s_own_stood() {
        let mut own = Registry::new();
        own.declare(made("store", &[]));
        own.declare(made("shelf", &["store"]));
        let faults = newcomer_faults(own.clone(), vec![made("store", &[])], 0, "mine".into());
        assert!(faults.is_empty());
        let around = vec![made("store", &["store"])];
        let faults = newcomer_faults(own, around, 0, "around".into());
        assert_eq!(texts(&faults), ["dependency cycle: `around` -> `around`"]);
    }
}
