//! How long a registry takes to become a plan (validated, bound and ordered), or to become everything that is wrong with it.

use std::hint::black_box;

use boot_orchestrator::Registry;
use component::{Descriptor, Key, Need, Phase};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn component(name: &str, phase: Phase, needs: &[String]) -> Descriptor {
    let one = Descriptor::new(name, phase).provides(Key::named(name));
    needs.iter().fold(one, |one, need| one.needs(Need::one(Key::named(need.as_str()))))
}

fn name(place: usize) -> String {
    format!("component-{place}")
}

fn registry(descriptors: impl Iterator<Item = Descriptor>) -> Registry {
    let mut registry = Registry::new();
    descriptors.for_each(|one| registry.declare(one));
    registry
}

/// Components in layers over the five phases, each with two needs among those before it.
fn layers(count: usize) -> Registry {
    registry((0..count).map(|place| {
        let phase = Phase::ALL[place * Phase::ALL.len() / count];
        let needs: Vec<String> = [1, 7]
            .into_iter()
            .filter(|step| place >= *step)
            .map(|step| name(place - step))
            .collect();
        component(&name(place), phase, &needs)
    }))
}

/// Components of one phase, each with these needs.
fn flat(count: usize, needs: impl Fn(usize) -> Vec<String>) -> Registry {
    registry((0..count).map(|place| component(&name(place), Phase::Conductor, &needs(place))))
}

fn plan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    for count in [50, 10_000, 100_000] {
        let registry = layers(count);
        // A plan is dropped when its system ends: that is no part of a boot.
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_with_large_drop(|| registry.plan());
        });
    }
    group.finish();
}

/// Graphs in which nearly everything is wrong: `check` of a large project must not take longer for it.
fn faults(criterion: &mut Criterion) {
    let count = 10_000;
    let graphs = [
        ("missing", flat(count, |place| vec![format!("komponent-{place}")])),
        ("two-rings", flat(count, |place| vec![name(place ^ 1)])),
        ("one-ring", flat(count, |place| vec![name((place + 1) % count)])),
        (
            "one-knot",
            flat(count, |place| {
                vec![name((place * 7 + 1) % count), name((place * 31 + 5) % count)]
            }),
        ),
        (
            "ambiguous",
            registry((0..count).map(|place| {
                let one = component(&name(place), Phase::Conductor, &["shared".to_owned()]);
                one.provides(Key::named("shared"))
            })),
        ),
        ("duplicate", registry((0..count).map(|_| component("one", Phase::Conductor, &[])))),
        (
            "phase-order",
            registry((0..count).map(|place| {
                let phase = if place % 2 == 0 { Phase::Pit } else { Phase::Conductor };
                component(&name(place), phase, &[name(place ^ 1)])
            })),
        ),
    ];
    let mut group = criterion.benchmark_group("plan-faults");
    group.sample_size(10);
    for (kind, registry) in graphs {
        group.bench_function(BenchmarkId::new(kind, count), |bencher| {
            bencher.iter(|| black_box(registry.plan()).is_err());
        });
    }
    group.finish();
}

criterion_group!(benches, plan, faults);
criterion_main!(benches);
