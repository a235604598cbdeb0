//! How long a registry takes to become a plan: validated, bound and ordered.

use std::hint::black_box;

use boot_orchestrator::Registry;
use component::{Descriptor, Key, Need, Phase};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

/// Components in layers over the five phases, each with two needs among those before it.
fn registry(count: usize) -> Registry {
    let mut registry = Registry::new();
    for place in 0..count {
        let phase = Phase::ALL[place * Phase::ALL.len() / count];
        let name = format!("component-{place}");
        let mut one = Descriptor::new(name.clone(), phase).provides(Key::named(name));
        for step in [1, 7] {
            if place >= step {
                one = one.needs(Need::one(Key::named(format!("component-{}", place - step))));
            }
        }
        registry.declare(one);
    }
    registry
}

fn plan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    for count in [50, 10_000] {
        let registry = registry(count);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| black_box(registry.plan()).is_ok());
        });
    }
    group.finish();
}

criterion_group!(benches, plan);
criterion_main!(benches);
