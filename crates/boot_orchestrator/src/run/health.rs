//! Asking running components how they are, side by side.

use std::time::{Duration, Instant};

use component::{ComponentName, Health, Step};

use crate::graph::plan::Plan;
use crate::report::boot_report::BootReport;
use crate::run::step_table::{EndedStep, Signal, StepTable, Then};

/// How one component is.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentHealth {
    /// Whose word it is.
    pub component: ComponentName,
    /// Its word; `Unhealthy` where it gave none in time.
    pub health: Health,
    /// How long the answer took.
    pub seconds: f64,
}

/// How a system is.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemHealth {
    /// Of the whole: unhealthy when a required component is; degraded when any other is not healthy.
    pub health: Health,
    /// Of each, in plan order.
    pub components: Vec<ComponentHealth>,
}

/// Asks those that are up, each with what is left of the deadline; of one that is not, the reason is its word.
pub(crate) fn ask(
    plan: &Plan,
    mut steps: StepTable,
    up: &[bool],
    report: &BootReport,
    limit: Duration,
) -> SystemHealth {
    let begun = Instant::now();
    let deadline = begun.checked_add(limit);
    let mut answers: Vec<Option<ComponentHealth>> = vec![None; plan.components().len()];
    let mut open = 0_usize;
    for (number, up) in (0_u32..).zip(up) {
        if *up {
            steps.begin(number, Step::Health, deadline);
            open += 1;
        } else {
            answers[number as usize] = Some(absent(plan, number, report));
        }
    }
    while open > 0 {
        let (number, health, seconds) = match steps.next(None) {
            Signal::Ended(ended) => {
                let seconds = ended.at.saturating_duration_since(ended.begun).as_secs_f64();
                (ended.component, word(ended), seconds)
            }
            Signal::Expired { component, step } => {
                let Some(given_up) = steps.give_up(component, step, Then::Abandon) else {
                    continue;
                };
                let mut text = format!("gave no answer within {}", component::Seconds::from(limit));
                if let Some(place) = given_up.place {
                    text = format!("{text}\n{place}");
                }
                (component, Health::Unhealthy(text), begun.elapsed().as_secs_f64())
            }
            Signal::Woken | Signal::Moment => continue,
        };
        open -= 1;
        let component = plan.components()[number as usize].name().clone();
        answers[number as usize] = Some(ComponentHealth { component, health, seconds });
    }
    let components: Vec<ComponentHealth> = answers.into_iter().flatten().collect();
    SystemHealth { health: overall(plan, &components), components }
}

/// The word of one that the boot went on without.
fn absent(plan: &Plan, number: u32, report: &BootReport) -> ComponentHealth {
    let component = plan.components()[number as usize].name().clone();
    let reason = report.components.iter().find(|one| one.name == component);
    let reason = reason.and_then(|one| one.reason.as_deref()).unwrap_or("it was not begun");
    let health = Health::Unhealthy(format!("did not start: {reason}"));
    ComponentHealth { component, health, seconds: 0.0 }
}

/// A component's word, where a failed step counts as one.
pub(crate) fn word(ended: EndedStep) -> Health {
    match ended.result {
        Ok(health) => health,
        Err(failure) => {
            let mut text = failure.message;
            for cause in failure.causes {
                text = format!("{text}: {cause}");
            }
            Health::Unhealthy(text)
        }
    }
}

fn overall(plan: &Plan, components: &[ComponentHealth]) -> Health {
    let mut worst = Health::Healthy;
    for one in components {
        let Some(reason) = one.health.reason() else { continue };
        let required = plan
            .find(one.component.as_str())
            .is_some_and(|number| plan.components()[number as usize].descriptor().required);
        let reason = format!("`{}`: {reason}", one.component);
        match (&one.health, &worst) {
            (_, Health::Unhealthy(_)) => {}
            (Health::Unhealthy(_), _) if required => worst = Health::Unhealthy(reason),
            (_, Health::Healthy) => worst = Health::Degraded(reason),
            _ => {}
        }
    }
    worst
}
