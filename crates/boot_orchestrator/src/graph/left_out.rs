//! Components that a boot goes on without, though they are registered.
//!
//! Called by the wiring of a system, once everything is registered. Invariant: what the boot needs is not left out, so a boot
//! that leaves something out has every chance of one that does not.

use std::collections::BTreeMap;
use std::sync::Arc;

use component::{Code, Component, Done, Failure, Step};

use crate::graph::plan::Plan;
use crate::graph::registry::Registry;

impl Registry {
    /// Leaves out of the boot those of these components, each with the reason, that it can go on without: they are planned,
    /// and never begin. Gives their names. The others are not there, or the boot needs them; where the plan is at fault, which
    /// no boot comes of, only those count as needed that are required themselves.
    pub fn leave_out<'a>(&mut self, reasons: &'a BTreeMap<String, String>) -> Vec<&'a str> {
        // Planned once more only where there is something to leave out.
        let plan = if reasons.is_empty() { None } else { self.plan().ok() };
        let is_needed = |name: &str| {
            plan.as_ref().is_some_and(|plan| plan.find(name).is_some_and(|at| plan.is_needed(at)))
        };
        let mut left_out = Vec::new();
        for (name, why) in reasons {
            let entry =
                self.entries_mut().iter_mut().find(|one| one.descriptor.name.as_str() == name);
            let dispensable = |required: bool| !required && !is_needed(name);
            if let Some(entry) = entry.filter(|one| dispensable(one.descriptor.required)) {
                entry.component = Arc::new(LeftOut(why.clone()));
                left_out.push(name.as_str());
            }
        }
        left_out
    }
}

impl Plan {
    /// Whether the boot cannot go on without a component: it is required, or one that is required cannot do without it, or
    /// without another that cannot.
    pub(crate) fn is_needed(&self, number: u32) -> bool {
        let mut seen = vec![number];
        let mut waiting = vec![number];
        while let Some(number) = waiting.pop() {
            if self.components()[number as usize].descriptor().required {
                return true;
            }
            for edge in self.dependants(number).filter(|edge| edge.is_hard()) {
                if !seen.contains(&edge.from) {
                    seen.push(edge.from);
                    waiting.push(edge.from);
                }
            }
        }
        false
    }
}

/// Stands for a component that is left out.
struct LeftOut(String);

impl Component for LeftOut {
    fn begin(&self, _step: Step, done: Done) {
        done.tell(Err(Failure::new(Code::START_FAILED, self.0.clone())));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use component::{Descriptor, Key, Need, NeedKind, Phase};

    use crate::Registry;

    /// A component, whether it is required, and what it cannot do without.
    type One = (&'static str, bool, &'static [&'static str]);

    fn registry(ones: &[One]) -> Registry {
        let mut registry = Registry::new();
        for (name, required, needs) in ones {
            let mut descriptor =
                Descriptor::new(*name, Phase::Conductor).provides(Key::named(*name));
            descriptor.required = *required;
            descriptor.needs = needs.iter().map(|need| Need::one(Key::named(*need))).collect();
            registry.declare(descriptor);
        }
        registry
    }

    fn left_out(registry: &mut Registry, names: &[&str]) -> Vec<String> {
        let reasons: BTreeMap<String, String> =
            names.iter().map(|name| ((*name).to_owned(), "no".to_owned())).collect();
        registry.leave_out(&reasons).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn what_one_that_is_required_cannot_do_without_stays() {
        let ones: &[One] = &[
            ("far", false, &[]),
            ("near", false, &["far"]),
            ("app", true, &["near"]),
            ("free", false, &[]),
            ("user", false, &["free"]),
        ];
        let names = ["app", "far", "free", "gone", "near", "user"];
        assert_eq!(left_out(&mut registry(ones), &names), ["free", "user"]);
    }

    #[test]
    fn what_it_can_do_without_goes() {
        let mut ones = registry(&[("free", false, &[])]);
        let need = Need { kind: NeedKind::Optional, ..Need::one(Key::named("free")) };
        ones.declare(Descriptor::new("app", Phase::Conductor).needs(need));
        assert_eq!(left_out(&mut ones, &["free"]), ["free"]);
    }

    #[test]
    fn a_plan_at_fault_is_left_to_whoever_tells_it() {
        let ones: &[One] = &[("free", false, &[]), ("app", true, &["nothing"])];
        assert_eq!(left_out(&mut registry(ones), &["app", "free"]), ["free"]);
    }
}
