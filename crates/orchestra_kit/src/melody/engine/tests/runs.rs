//! Runs: values, order, failures, retries, fallbacks, cancel, release.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use component::{Code, Hint};
use ipc::Value;

use super::mock::{Mock, crash, inputs, melody, options, watched};
use crate::KitError;
use crate::melody::engine::{NodeRecord, NodeState, Results, Run, RunState};

fn shown(results: &Results) -> Vec<String> {
    results
        .iter()
        .map(|(id, value)| {
            let value = value.as_ref().map(|payload| payload.value().unwrap());
            format!("{id} = {}", value.map_or("nothing".into(), |value| format!("{value:?}")))
        })
        .collect()
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of every operation of the mock")]
fn echo(inputs: &Value) -> Result<Value, KitError> {
    Ok(inputs.clone())
}

const DIAMOND: &str = r#"
[melody]
name = "diamond"
inputs = ["path"]
[[node]]
id = "read"
call = "reader.read"
with = { path = "${inputs.path}" }
[[node]]
id = "left"
call = "left.echo"
with = { text = "${read.text}", fixed = { deep = [1, true, "x"] } }
[[node]]
id = "right"
call = "right.echo"
with = { all = "${read}", label = "of ${inputs.path}: ${read.count} words, $${plain}" }
[[node]]
id = "join"
call = "pit.join"
with = { left = "${left}", parts = ["${right.label}", { text = "${left.text}" }] }
"#;

#[test]
fn values_flow_along_the_references_and_keep_their_types() {
    watched(|| {
        let (engine, _, dag) = Mock::default()
            .with("reader.read", 9, |inputs| {
                assert_eq!(inputs.get("path"), Some(&Value::from("a.py")));
                Ok(Value::from([("text", Value::from("abc")), ("count", Value::Int(7))]))
            })
            .with("left.echo", 9, echo)
            .with("right.echo", 9, echo)
            .with("pit.join", 9, echo)
            .engine(options(4));
        let run = engine.submit(&melody(DIAMOND), inputs(&[("path", "a.py".into())]), 0).unwrap();
        let results = run.wait(None).unwrap();
        insta::assert_snapshot!(shown(&results).join("\n"), @r#"
        read = Map([("text", Text("abc")), ("count", Int(7))])
        left = Map([("text", Text("abc")), ("fixed", Map([("deep", List([Int(1), Bool(true), Text("x")]))]))])
        right = Map([("all", Map([("text", Text("abc")), ("count", Int(7))])), ("label", Text("of a.py: 7 words, ${plain}"))])
        join = Map([("left", Map([("text", Text("abc")), ("fixed", Map([("deep", List([Int(1), Bool(true), Text("x")]))]))])), ("parts", List([Text("of a.py: 7 words, ${plain}"), Map([("text", Text("abc"))])]))])
        "#);
        assert_eq!(run.state(), RunState::Done);
        assert_eq!((run.progress().done, run.progress().total, run.progress().running), (4, 4, 0));
        assert!(dag.runs().is_empty(), "the tracker has forgotten the run");
        assert!(engine.wait_idle(Some(Duration::from_secs(5))));
    });
}

#[test]
fn independent_nodes_run_side_by_side() {
    watched(|| {
        let barrier = Arc::new(std::sync::Barrier::new(2));
        let meet = |barrier: Arc<std::sync::Barrier>| {
            move |_: &Value| {
                barrier.wait();
                Ok(Value::None)
            }
        };
        let (engine, ..) = Mock::default()
            .with("a.meet", 9, meet(Arc::clone(&barrier)))
            .with("b.meet", 9, meet(barrier))
            .engine(options(2));
        let text = "[melody]\nname = \"m\"\n[[node]]\nid = \"a\"\ncall = \"a.meet\"\n[[node]]\nid = \"b\"\ncall = \"b.meet\"\n";
        engine.submit(&melody(text), Vec::new(), 0).unwrap().wait(None).unwrap();
    });
}

fn two(first: &str) -> String {
    format!(
        "[melody]\nname = \"m\"\n[[node]]\nid = \"first\"\ncall = \"x.first\"\n{first}\n[[node]]\nid = \"second\"\ncall = \"x.second\"\nwith = {{ value = \"${{first.key}}\" }}\n"
    )
}

#[test]
fn a_passing_failure_is_tried_again_as_often_as_the_node_says() {
    watched(|| {
        let tries = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&tries);
        let (engine, ..) = Mock::default()
            .with("x.first", 9, move |_| match seen.fetch_add(1, Ordering::SeqCst) {
                0 | 1 => Err(crash()),
                _ => Ok(Value::from([("key", Value::Int(1))])),
            })
            .with("x.second", 9, echo)
            .engine(options(2));
        let run = engine.submit(&melody(&two("retry = 2")), Vec::new(), 0).unwrap();
        run.wait(None).unwrap();
        assert_eq!(run.progress().retried, 2);

        tries.store(0, Ordering::SeqCst);
        let failure = engine
            .submit(&melody(&two("retry = 1")), Vec::new(), 0)
            .unwrap()
            .wait(None)
            .unwrap_err();
        assert_eq!(tries.load(Ordering::SeqCst), 2);
        assert_eq!((failure.node.as_deref(), failure.attempts), (Some("first"), 2));
        assert_eq!(failure.code(), Code::CALL_TIMEOUT);
        assert_eq!(failure.to_string(), "node `first` (`x.first`) of `m` failed");
    });
}

#[test]
fn a_lasting_failure_is_not_tried_again() {
    watched(|| {
        let tries = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&tries);
        let (engine, ..) = Mock::default()
            .with("x.first", 9, move |_| {
                seen.fetch_add(1, Ordering::SeqCst);
                Err(KitError::InvalidValue { what: "bad".to_owned() })
            })
            .with("x.second", 9, echo)
            .engine(options(2));
        let run = engine.submit(&melody(&two("retry = 5")), Vec::new(), 0).unwrap();
        assert_eq!(run.wait(None).unwrap_err().code(), Code::INVALID_VALUE);
        assert_eq!((tries.load(Ordering::SeqCst), run.state()), (1, RunState::Failed));
    });
}

#[test]
fn a_skipped_node_has_no_value_and_what_uses_it_runs() {
    watched(|| {
        let (engine, ..) = Mock::default()
            .with("x.first", 9, |_| Err(crash()))
            .with("x.second", 9, echo)
            .engine(options(2));
        let run = engine.submit(&melody(&two("on_error = \"skip\"")), Vec::new(), 0).unwrap();
        let results = run.wait(None).unwrap();
        assert_eq!(shown(&results), ["first = nothing", "second = Map([(\"value\", None)])"]);
        assert_eq!((run.progress().done, run.progress().skipped), (1, 1));
    });
}

#[test]
fn a_missing_part_fails_the_node_that_asks_for_it() {
    watched(|| {
        let (engine, ..) = Mock::default()
            .with("x.first", 9, |_| Ok(Value::from([("other", Value::None)])))
            .with("x.second", 9, echo)
            .engine(options(2));
        let failure =
            engine.submit(&melody(&two("")), Vec::new(), 0).unwrap().wait(None).unwrap_err();
        assert_eq!(failure.node.as_deref(), Some("second"));
        assert_eq!(
            failure.error.to_string(),
            "`${first.key}` does not exist: the value has no `key`"
        );
    });
}

const FALLBACK: &str = r#"
[melody]
name = "m"
[[node]]
id = "a"
call = "x.fail"
on_error = { fallback = "spare" }
[[node]]
id = "b"
call = "x.maybe"
on_error = { fallback = "spare" }
[[node]]
id = "base"
call = "x.base"
[[node]]
id = "spare"
call = "x.spare"
with = { base = "${base}" }
[[node]]
id = "last"
call = "x.echo"
with = { a = "${a}", b = "${b}" }
"#;

#[test]
fn a_fallback_runs_once_and_only_for_those_that_failed() {
    watched(|| {
        let fails = Arc::new(AtomicUsize::new(0));
        let spares = Arc::new(AtomicUsize::new(0));
        let (failing, counting) = (Arc::clone(&fails), Arc::clone(&spares));
        let (engine, ..) = Mock::default()
            .with("x.fail", 9, move |_| match failing.load(Ordering::SeqCst) {
                0 => Ok(Value::Int(1)),
                _ => Err(crash()),
            })
            .with("x.maybe", 9, |_| Ok(Value::Int(2)))
            .with("x.base", 9, |_| Ok(Value::Int(10)))
            .with("x.spare", 9, move |inputs| {
                counting.fetch_add(1, Ordering::SeqCst);
                Ok(inputs.get("base").unwrap().clone())
            })
            .with("x.echo", 9, echo)
            .engine(options(3));
        let melody = melody(FALLBACK);
        let results = engine.submit(&melody, Vec::new(), 0).unwrap().wait(None).unwrap();
        insta::assert_snapshot!(shown(&results).join("\n"), @r#"
        a = Int(1)
        b = Int(2)
        base = Int(10)
        spare = nothing
        last = Map([("a", Int(1)), ("b", Int(2))])
        "#);
        assert_eq!(spares.load(Ordering::SeqCst), 0);
        fails.store(1, Ordering::SeqCst);
        let run = engine.submit(&melody, Vec::new(), 0).unwrap();
        let results = run.wait(None).unwrap();
        insta::assert_snapshot!(records(&run), @r"
        a done 1: `flaky` did not end in 100 ms
        b done 1
        base done 1
        spare done 1
        last done 1
        ");
        insta::assert_snapshot!(shown(&results).join("\n"), @r#"
        a = Int(10)
        b = Int(2)
        base = Int(10)
        spare = Int(10)
        last = Map([("a", Int(10)), ("b", Int(2))])
        "#);
        assert_eq!(spares.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn when_the_fallback_fails_too_the_first_failure_is_told() {
    watched(|| {
        let (engine, ..) = Mock::default()
            .with("x.fail", 9, |_| Err(KitError::InvalidValue { what: "first".to_owned() }))
            .with("x.maybe", 9, |_| Ok(Value::Int(2)))
            .with("x.base", 9, |_| Ok(Value::Int(10)))
            .with("x.spare", 9, |_| Err(crash()))
            .with("x.echo", 9, echo)
            .engine(options(3));
        let run = engine.submit(&melody(FALLBACK), Vec::new(), 0).unwrap();
        let failure = run.wait(None).unwrap_err();
        assert_eq!(
            (failure.node.as_deref(), failure.error.to_string().as_str()),
            (Some("a"), "first")
        );
        let stand_ins: Vec<_> =
            failure.stand_ins.iter().map(|(node, error)| format!("{node}: {error}")).collect();
        assert_eq!(stand_ins, [format!("spare: {}", crash())]);
        let records = records(&run);
        let failed: Vec<_> = records.lines().filter(|line| line.contains(" failed ")).collect();
        assert_eq!(failed, ["a failed 1: first", &format!("spare failed 1: {}", crash())]);
        assert!(records.ends_with("last unused 0"), "{records}");
        let nodes = run.nodes();
        let base = nodes.iter().find(|node| &*node.id == "base").unwrap();
        assert_eq!(base.value.as_ref().unwrap().value().unwrap(), Value::Int(10));
        let with_value = |node: &&NodeRecord| node.value.is_some();
        assert!(nodes.iter().filter(with_value).all(|node| node.state == NodeState::Done));
    });
}

/// The nodes of a run that has ended, without their times.
fn records(run: &Run) -> String {
    let line = |node: &NodeRecord| {
        let error = node.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        format!("{} {} {}{error}", node.id, node.state.as_str(), node.attempts)
    };
    run.nodes().iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_cancelled_run_ends_at_once_and_its_late_answer_harms_nobody() {
    watched(|| {
        let (release, gate) = crossbeam_channel::bounded::<()>(0);
        let (engine, mock, dag) = Mock::default()
            .with("x.first", 9, move |_| {
                gate.recv().unwrap();
                Ok(Value::from([("key", Value::Int(1))]))
            })
            .with("x.second", 9, echo)
            .engine(options(1));
        let melody = melody(&two(""));
        let run = engine.submit(&melody, Vec::new(), 0).unwrap();
        while run.progress().running == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let (told, ended) = crossbeam_channel::bounded(1);
        run.when_ended(move || told.send(()).unwrap());
        run.cancel();
        assert_eq!(run.wait(None).unwrap_err().code(), Code::CANCELLED);
        assert_eq!(run.state(), RunState::Cancelled);
        insta::assert_snapshot!(records(&run), @r"
        first cancelled 1
        second unused 0
        ");
        ended.recv().unwrap();
        assert_eq!(mock.cancelled.lock().len(), 1, "the call on its way was told");
        assert!(dag.runs().is_empty());
        // The only slot is still held by the call on its way; it is free again afterwards.
        let next = engine.submit(&melody, Vec::new(), 0).unwrap();
        release.send(()).unwrap();
        release.send(()).unwrap();
        next.wait(None).unwrap();
    });
}

#[test]
fn a_run_is_refused_when_its_inputs_do_not_fit() {
    watched(|| {
        let (engine, ..) = Mock::default().with("x.echo", 9, echo).engine(options(1));
        let melody = melody(
            "[melody]\nname = \"m\"\ninputs = [\"path\"]\n[[node]]\nid = \"a\"\ncall = \"x.echo\"\n",
        );
        let refused = |pairs: &[(&str, Value)]| {
            let error = engine.submit(&melody, inputs(pairs), 0).unwrap_err();
            assert_eq!(error.code(), Code::MELODY_INVALID);
            (error.to_string(), error.hints().join(", "))
        };
        assert_eq!(refused(&[]).0, "the Melody `m` lacks the input `path`");
        let (message, hint) = refused(&[("path", Value::None), ("pathh", Value::None)]);
        assert_eq!(message, "the Melody `m` has no input `pathh`");
        assert_eq!(hint, "did you mean `path`?");
        let unknown =
            super::mock::melody("[melody]\nname = \"m\"\n[[node]]\nid = \"a\"\ncall = \"y.z\"\n");
        let error = engine.submit(&unknown, Vec::new(), 0).unwrap_err();
        assert_eq!(error.code(), Code::UNKNOWN_OPERATION);
    });
}

#[test]
fn a_lost_call_fails_its_node_and_a_stopped_engine_its_runs() {
    watched(|| {
        struct Silent(bool);
        impl crate::melody::engine::Calls for Silent {
            fn resolve(&self, _: &str) -> Option<crate::melody::engine::Target> {
                Some(crate::melody::engine::Target { id: 1, in_process: false })
            }
            fn room(&self, _: crate::melody::engine::Target) -> usize {
                1
            }
            fn submit(&self, _: crate::melody::engine::Target, call: crate::melody::engine::Call) {
                if self.0 {
                    std::mem::forget(call);
                }
            }
        }
        let text = "[melody]\nname = \"m\"\n[[node]]\nid = \"a\"\ncall = \"y.z\"\n";
        for (forgets, code) in [(false, Code::INTERNAL), (true, Code::STOPPED)] {
            let dag = pit::dag_tracker::DagTracker::in_memory();
            let engine =
                crate::melody::engine::Engine::new(Arc::new(Silent(forgets)), dag, options(1))
                    .unwrap();
            let run = engine.submit(&melody(text), Vec::new(), 0).unwrap();
            if forgets {
                assert_eq!(
                    run.wait(Some(Duration::from_millis(20))).unwrap_err().code(),
                    Code::CALL_TIMEOUT
                );
                assert_eq!(run.state(), RunState::Running);
                engine.shutdown();
            }
            assert_eq!(run.wait(None).unwrap_err().code(), code);
            engine.shutdown();
            assert!(engine.wait_idle(Some(Duration::from_secs(5))));
            let refused = engine.submit(&melody(text), Vec::new(), 0);
            assert_eq!(refused.unwrap_err().code(), Code::STOPPED);
        }
    });
}

#[test]
fn a_thousand_runs_stay_within_slots_and_queues_and_leave_nothing() {
    watched(|| {
        let (engine, mock, dag) = Mock::default()
            .with("reader.read", 2, |_| {
                Ok(Value::from([("text", Value::from("abc")), ("count", Value::Int(7))]))
            })
            .with("left.echo", 3, echo)
            .with("right.echo", 1, echo)
            .with("pit.join", 9, echo)
            .engine(options(4));
        let melody = melody(DIAMOND);
        let runs: Vec<_> = (0..1000)
            .map(|_| engine.submit(&melody, inputs(&[("path", "a.py".into())]), 0).unwrap())
            .collect();
        for run in &runs {
            run.wait(None).unwrap();
        }
        assert!(engine.wait_idle(Some(Duration::from_secs(5))));
        assert!(mock.gauge.most.load(Ordering::SeqCst) <= 4, "slots");
        let most = mock.gauge.most_pending.lock();
        let most: Vec<usize> = (0..3).map(|id| most[&id]).collect();
        assert!(most[0] <= 2 && most[1] <= 3 && most[2] <= 1, "queues were overfilled: {most:?}");
        assert!(dag.runs().is_empty());
        let stats = engine.stats();
        assert_eq!((stats.submitted, stats.done, stats.failed, stats.calls), (1000, 1000, 0, 4000));
        assert_eq!((stats.waiting, engine.active()), (0, 0));
    });
}
