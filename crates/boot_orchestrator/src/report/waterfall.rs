//! The report as text: one line for each component, with its start drawn where it lay in the boot.

use component::{Health, Phase, Seconds};

use crate::event::boot_event::{BootEvent, Status};
use crate::event::text::budget_figure;
use crate::report::boot_report::{BootReport, ComponentReport};

/// Cells of the drawing.
const CELLS: usize = 40;

/// Less than this saved is not told in the text.
const VISIBLE: f64 = 0.000_05;

impl std::fmt::Display for BootReport {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.headline(out)?;
        let ends = self.components.iter().filter_map(|one| Some(one.started_at? + one.seconds));
        let end = self.ready_seconds.into_iter().chain(ends).fold(0.0, f64::max);
        let widest = self.components.iter().map(|one| one.name.as_str().chars().count()).max();
        let width = widest.unwrap_or(0);
        for phase in &self.phases {
            if phase.status == Status::Skipped {
                continue;
            }
            let budget = phase
                .budget_seconds
                .map(|budget| format!(" of {}", Seconds(budget)))
                .unwrap_or_default();
            let status = worth_saying(phase.status);
            writeln!(out, "{}: {}{budget}{status}", phase.name, Seconds(phase.seconds))?;
            self.lines(out, phase.name, end, width)?;
        }
        for violation in &self.budget_violations {
            let figure = |figure| budget_figure(&violation.name, figure);
            let (limit, actual) = (figure(violation.limit), figure(violation.actual));
            writeln!(out, "over budget: {} took {actual} of {limit}", violation.name)?;
        }
        if let Some(safe) = &self.safe_mode {
            let (without, reason) = (safe.without.clone(), safe.reason.clone());
            let asked_for = safe.asked_for;
            writeln!(out, "{}", BootEvent::SafeMode { without, reason, asked_for })?;
        }
        if !self.critical_path.is_empty() {
            let names: Vec<&str> =
                self.critical_path.iter().map(component::ComponentName::as_str).collect();
            writeln!(out, "critical path (*): {}", names.join(" -> "))?;
        }
        self.saved(out)
    }
}

impl BootReport {
    fn headline(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.ready_seconds, &self.error) {
            (Some(seconds), _) => write!(out, "`{}` ready in {}", self.system, Seconds(seconds))?,
            (None, Some(error)) => write!(out, "`{}` failed: {}", self.system, error.message)?,
            (None, None) => write!(out, "`{}` is not ready", self.system)?,
        }
        if let Some(state) = self.state.filter(|state| *state != Health::Healthy.as_str()) {
            write!(out, ", {state}")?;
        }
        if let Some(seconds) = self.since_launch_seconds {
            write!(out, ", {} after launch", Seconds(seconds))?;
        }
        writeln!(
            out,
            "; overhead {}, memory {:.1} MiB",
            Seconds(self.overhead_seconds),
            self.memory_mb
        )
    }

    /// What is worth looking at first: the steps without which the system would be ready sooner, the best first.
    fn saved(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut best: Vec<_> = self.savings.iter().filter(|one| one.seconds >= VISIBLE).collect();
        best.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
        if best.is_empty() {
            return Ok(());
        }
        let parts: Vec<String> =
            best.iter().map(|one| format!("{} {}", one.name, Seconds(one.seconds))).collect();
        writeln!(out, "sooner ready without: {}", parts.join(", "))
    }

    fn lines(
        &self,
        out: &mut std::fmt::Formatter<'_>,
        phase: Phase,
        end: f64,
        width: usize,
    ) -> std::fmt::Result {
        for one in self.components.iter().filter(|one| one.phase == phase) {
            let critical = if self.critical_path.contains(&one.name) { '*' } else { ' ' };
            let (name, bar) = (one.name.as_str(), bar(one, end));
            let status = worth_saying(one.status);
            let reason = one.reason.as_deref().and_then(|text| text.lines().next());
            let reason = reason.map(|text| format!(": {text}")).unwrap_or_default();
            // Of one that failed the reason says it.
            let tried = match one.attempts {
                2.. if one.status != Status::Failed => format!(" tried {} times", one.attempts),
                _ => String::new(),
            };
            let seconds = one.started_at.map(|_| Seconds(one.seconds).to_string());
            let seconds = seconds.unwrap_or_default();
            let line =
                format!(" {critical} {name:width$} {seconds:>8} |{bar}|{status}{reason}{tried}");
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

fn worth_saying(status: Status) -> String {
    if status == Status::Ready { String::new() } else { format!(" {status}") }
}

/// The span of a start among the cells; at least one cell, however short it was.
fn bar(one: &ComponentReport, end: f64) -> String {
    let mut cells = [' '; CELLS];
    if let Some(from) = one.started_at.filter(|_| end > 0.0) {
        let first = cell(from / end).min(CELLS - 1);
        let after = cell((from + one.seconds) / end).clamp(first + 1, CELLS);
        cells[first..after].fill('#');
    }
    cells.iter().collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the whole times 40 is a small positive number"
)]
fn cell(share: f64) -> usize {
    (share.clamp(0.0, 1.0) * CELLS as f64) as usize
}

#[cfg(test)]
mod tests {
    use component::Phase;

    use crate::event::boot_event::Status;
    use crate::report::boot_report::{BootReport, ComponentReport, PhaseReport, Saving};
    use crate::report::budgets::BudgetViolation;

    fn one(name: &str, phase: Phase, from: Option<f64>, seconds: f64) -> ComponentReport {
        ComponentReport {
            name: name.into(),
            phase,
            status: if from.is_some() { Status::Ready } else { Status::Skipped },
            started_at: from,
            seconds,
            requires: Vec::new(),
            reason: from.is_none().then(|| "it needs `x`\nwhich is long".to_owned()),
            attempts: 1,
            grants: None,
        }
    }

    #[test]
    fn a_report_draws_each_start_where_it_lay() {
        let phase = |name, status, budget_seconds| PhaseReport {
            name,
            status,
            seconds: 0.5,
            budget_seconds,
        };
        let report = BootReport {
            schema: 1,
            ok: true,
            state: Some("degraded"),
            system: "ide".to_owned(),
            ready_seconds: Some(1.0),
            since_launch_seconds: Some(1.2),
            overhead_seconds: 0.004,
            infrastructure_seconds: Some(0.5),
            memory_mb: 3.2,
            phases: vec![
                phase(Phase::Pit, Status::Ready, Some(0.25)),
                phase(Phase::OrchestraKit, Status::Skipped, None),
                phase(Phase::Conductor, Status::Degraded, None),
            ],
            components: vec![
                one("store", Phase::Pit, Some(0.0), 0.5),
                one("idx", Phase::Pit, Some(0.5), 0.0),
                one("brain", Phase::Conductor, Some(0.5), 0.5),
                one("extra", Phase::Conductor, None, 0.0),
            ],
            critical_path: vec!["store".into(), "brain".into()],
            savings: vec![
                Saving { name: "store".into(), seconds: 0.3 },
                Saving { name: "brain".into(), seconds: 0.5 },
                Saving { name: "idx".into(), seconds: 0.0 },
            ],
            safe_mode: None,
            budget_violations: vec![BudgetViolation {
                name: "phases.pit".to_owned(),
                limit: 0.25,
                actual: 0.5,
            }],
            error: None,
            spans: Vec::new(),
            events: Vec::new(),
        };
        insta::assert_snapshot!(report.to_string(), @r"
        `ide` ready in 1 s, degraded, 1.2 s after launch; overhead 4 ms, memory 3.2 MiB
        pit: 500 ms of 250 ms
         * store   500 ms |####################                    |
           idx       0 µs |                    #                   |
        conductor: 500 ms degraded
         * brain   500 ms |                    ####################|
           extra          |                                        | skipped: it needs `x`
        over budget: phases.pit took 500 ms of 250 ms
        critical path (*): store -> brain
        sooner ready without: brain 500 ms, store 300 ms
        ");
    }
}
