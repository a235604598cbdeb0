//! Components made of functions and futures, booted for real.

mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use boot_orchestrator::{Blocking, Boot, BootFailure, Immediate, Registry, Running, Threads};
use component::{Code, Component, Health, NeedKind, Phase};
use support::{Seen, descriptor, need, options, watched};

fn boot(
    components: Vec<(&str, Arc<dyn Component>)>,
    deadline: Duration,
) -> Result<Running, Box<BootFailure>> {
    let mut registry = Registry::new();
    for (name, component) in components {
        let mut one = descriptor(name, Phase::Pit);
        one.deadline = Some(deadline);
        registry.add(one, component);
    }
    let boot = Boot::new(registry.plan().expect("a lawful graph"), options(&Seen::default()));
    watched(30, move || boot.run())
}

#[test]
fn a_blocking_component_runs_on_the_pool_and_stops_by_its_function() {
    let (threads, stopped) = (Threads::new("steps", 2), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&stopped);
    let component = Blocking::new(&threads, || {
        assert_eq!(std::thread::current().name(), Some("steps"));
        Ok(Health::Healthy)
    })
    .health(|| Ok(Health::Degraded("a little".to_owned())))
    .stop(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let running = boot(vec![("one", Arc::new(component))], Duration::from_secs(10)).unwrap();
    assert!(matches!(running.health(Duration::from_secs(5)).health, Health::Degraded(_)));
    running.shutdown(Duration::from_secs(3));
    assert_eq!(stopped.load(Ordering::SeqCst), 1);
}

#[test]
fn panics_are_failures_of_their_steps() {
    let threads = Threads::new("steps", 1);
    let panics = || std::panic::resume_unwind(Box::new("no luck"));
    let blocking: Arc<dyn Component> = Arc::new(Blocking::new(&threads, panics));
    let immediate: Arc<dyn Component> = Arc::new(Immediate::new(panics));
    for component in [blocking, immediate] {
        let failure = boot(vec![("one", component)], Duration::from_secs(10)).err().unwrap();
        assert_eq!(failure.code, Code::START_FAILED);
        assert_eq!(failure.causes, ["it panicked: no luck"]);
    }
}

#[test]
fn a_pool_of_one_thread_stops_what_started_although_a_start_hangs_on_it() {
    let (threads, stopped) = (Threads::new("steps", 1), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&stopped);
    let well = Blocking::new(&threads, || Ok(Health::Healthy)).stop(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let hangs = Blocking::new(&threads, || {
        loop {
            std::thread::park();
        }
    });
    let mut registry = Registry::new();
    registry.add(descriptor("well", Phase::Pit), Arc::new(well));
    let mut late = descriptor("hangs", Phase::Pit).needs(need("well", NeedKind::One));
    late.deadline = Some(Duration::from_millis(30));
    registry.add(late, Arc::new(hangs));
    let boot = Boot::new(registry.plan().unwrap(), options(&Seen::default()));
    let failure = watched(30, move || boot.run()).err().unwrap();
    assert_eq!(failure.code, Code::START_TIMEOUT);
    assert!(failure.rollback_errors.is_empty(), "{:?}", failure.rollback_errors);
    assert_eq!(stopped.load(Ordering::SeqCst), 1);
}

/// How many threads share so many jobs.
fn threads_of(threads: &Threads, jobs: usize) -> usize {
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let ended = Arc::new(AtomicUsize::new(0));
    for _ in 0..jobs {
        let (seen, ended) = (Arc::clone(&seen), Arc::clone(&ended));
        threads.run(move || {
            seen.lock().expect("no job panics under the lock").insert(std::thread::current().id());
            std::thread::sleep(Duration::from_millis(5));
            ended.fetch_add(1, Ordering::SeqCst);
        });
    }
    support::until("every job ended", || ended.load(Ordering::SeqCst) == jobs);
    seen.lock().expect("no job panics under the lock").len()
}

#[test]
fn a_pool_has_its_size_again_when_what_was_given_up_has_ended() {
    let threads = Threads::new("steps", 2);
    let end = Arc::new(AtomicBool::new(false));
    let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let hanging: Vec<_> = (0..2)
        .map(|_| {
            let (end, begun, ended) = (Arc::clone(&end), Arc::clone(&begun), Arc::clone(&ended));
            threads.run(move || {
                begun.fetch_add(1, Ordering::SeqCst);
                support::until("it may end", || end.load(Ordering::SeqCst));
                ended.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    support::until("both run", || begun.load(Ordering::SeqCst) == 2);
    let waiting = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&waiting);
    let behind = threads.run(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    for job in &hanging {
        assert!(threads.give_up(*job));
        assert!(!threads.give_up(*job), "it was given up before");
    }
    support::until("what waited runs", || waiting.load(Ordering::SeqCst) == 1);
    support::until("it has ended", || !threads.has(behind));
    assert_eq!(threads_of(&threads, 12), 2, "beside those that hang there are two");
    end.store(true, Ordering::SeqCst);
    support::until("what hung has ended", || hanging.iter().all(|job| !threads.has(*job)));
    assert_eq!(ended.load(Ordering::SeqCst), 2);
    // One that left a moment ago may still be counted among those that take jobs.
    support::until("there are two threads again", || threads_of(&threads, 12) == 2);
    for _ in 0..20 {
        assert_eq!(threads_of(&threads, 12), 2);
    }
}

#[test]
fn a_job_that_is_given_up_before_it_begins_never_does() {
    let threads = Threads::new("steps", 1);
    let (end, hang) = std::sync::mpsc::channel::<()>();
    let hanging = threads.run(move || {
        let _ = hang.recv();
    });
    let begun = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&begun);
    let behind = threads.run(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    assert!(threads.give_up(behind));
    drop(end);
    support::until("the first has ended", || !threads.has(hanging));
    assert_eq!(threads_of(&threads, 3), 1);
    assert_eq!(begun.load(Ordering::SeqCst), 0);
}
