//! The journal keeps every acknowledged record, and nothing that was not appended.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use component::Health;
use pit::journal::{Format, Journal, MAX_RECORD};
use pit::{Durability, PitError};
use proptest::prelude::*;

const FORMAT: Format = Format { magic: *b"testtest", version: 3 };

fn open(path: &Path) -> Result<(Journal, Vec<Vec<u8>>), PitError> {
    let mut records = Vec::new();
    let journal = Journal::open(path, FORMAT, Durability::Process, |record| {
        records.push(record.to_vec());
        Ok(())
    })?;
    Ok((journal, records))
}

/// Runs `body` and fails when it has not ended after a minute.
fn within_a_minute(body: impl FnOnce() + Send + 'static) {
    let (done, finished) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        body();
        done.send(()).unwrap();
    });
    if finished.recv_timeout(std::time::Duration::from_secs(60)).is_err() {
        assert!(thread.is_finished(), "it hangs");
        thread.join().unwrap();
    }
}

#[test]
fn records_come_back_in_order_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (journal, none) = open(&path).unwrap();
    assert!(none.is_empty());
    journal.append(b"one").unwrap();
    journal.append_all([&b"two"[..], b"", b"three"]).unwrap();
    drop(journal);
    let (journal, records) = open(&path).unwrap();
    assert_eq!(records, [&b"one"[..], b"two", b"", b"three"]);
    assert_eq!(journal.recovery().records, 4);
}

#[test]
fn a_tail_cut_anywhere_loses_only_the_record_it_cuts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (journal, _) = open(&path).unwrap();
    journal.append(b"kept").unwrap();
    let kept = journal.mark().offset;
    journal.append(b"cut in the middle").unwrap();
    drop(journal);
    let whole = fs::read(&path).unwrap();
    for cut in kept..whole.len() as u64 {
        fs::write(&path, &whole[..usize::try_from(cut).unwrap()]).unwrap();
        let (journal, records) = open(&path).unwrap();
        assert_eq!(records, [b"kept"], "cut at {cut}");
        assert_eq!(journal.recovery().truncated, cut - kept);
        journal.append(b"next").unwrap();
        drop(journal);
        assert_eq!(open(&path).unwrap().1, [b"kept", b"next"], "cut at {cut}");
    }
}

#[test]
fn a_tail_of_zeroes_or_noise_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    for tail in [vec![0; 5000], (0..=250).cycle().step_by(31).take(5000).collect::<Vec<u8>>()] {
        let (journal, _) = open(&path).unwrap();
        journal.rewrite([b"kept".to_vec()]).unwrap();
        drop(journal);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(&tail).unwrap();
        let (journal, records) = open(&path).unwrap();
        assert_eq!(records, [b"kept"]);
        assert_eq!(journal.recovery().truncated, 5000);
    }
}

#[test]
fn a_damaged_record_before_intact_ones_is_refused_and_nothing_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (journal, _) = open(&path).unwrap();
    journal.append(b"first").unwrap();
    let second = journal.mark().offset;
    journal.append(b"second").unwrap();
    journal.append(b"third").unwrap();
    drop(journal);
    let length = fs::metadata(&path).unwrap().len();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    for damaged in [second, second + 5, second + 9, second + 17] {
        let before = fs::read(&path).unwrap();
        file.write_all_at(&[0xEE], damaged).unwrap();
        let error = open(&path).unwrap_err();
        assert!(matches!(error, PitError::Corrupt { offset, .. } if offset == second), "{error}");
        assert_eq!(fs::metadata(&path).unwrap().len(), length);
        fs::write(&path, before).unwrap();
    }
}

#[test]
fn damage_in_the_longest_record_hides_no_record_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (journal, _) = open(&path).unwrap();
    let first = journal.mark().offset;
    journal.append(&vec![7; MAX_RECORD]).unwrap();
    journal.append(b"behind it").unwrap();
    drop(journal);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[0xEE], first + 1000).unwrap();
    let error = open(&path).unwrap_err();
    assert!(matches!(error, PitError::Corrupt { offset, .. } if offset == first), "{error}");
}

#[test]
fn a_rewrite_replaces_all_and_starts_another_generation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (journal, _) = open(&path).unwrap();
    for number in 0..100_u32 {
        journal.append(&number.to_le_bytes()).unwrap();
    }
    let before = journal.mark();
    let after = journal.rewrite([b"all".to_vec()]).unwrap();
    assert_ne!(before.generation, after.generation);
    journal.append(b"more").unwrap();
    drop(journal);
    assert_eq!(open(&path).unwrap().1, [b"all".to_vec(), b"more".to_vec()]);
    let opening = Journal::begin(&path, FORMAT, Durability::Process).unwrap();
    assert!(!opening.covers(before));
    assert!(opening.covers(after));
    let mut tail = Vec::new();
    opening
        .replay(Some(after), |_, record| {
            tail.push(record.to_vec());
            Ok(())
        })
        .unwrap();
    assert_eq!(tail, [b"more"]);
}

#[test]
fn another_file_or_version_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    fs::write(&path, b"a letter to my mother, who is not a journal of any kind").unwrap();
    assert!(matches!(open(&path), Err(PitError::Corrupt { offset: 0, .. })));
    assert!(fs::read(&path).unwrap().starts_with(b"a letter"));
    fs::remove_file(&path).unwrap();
    drop(open(&path).unwrap());
    let newer = Format { version: 4, ..FORMAT };
    let error = Journal::open(&path, newer, Durability::Process, |_| Ok(())).unwrap_err();
    assert!(matches!(error, PitError::Format { found: 3, supported: 4, .. }), "{error}");
}

#[test]
fn writers_at_once_lose_nothing_also_with_flushes() {
    within_a_minute(|| {
        for durability in [Durability::Process, Durability::Power] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal");
            let journal = Journal::open(&path, FORMAT, durability, |_| Ok(())).unwrap();
            std::thread::scope(|scope| {
                for writer in 0..4_u8 {
                    let journal = &journal;
                    scope.spawn(move || {
                        for number in 0..50_u8 {
                            journal.append(&[writer, number]).unwrap();
                        }
                    });
                }
            });
            drop(journal);
            let (_, mut records) = open(&path).unwrap();
            records.sort();
            let all =
                (0..4_u8).flat_map(|w| (0..50_u8).map(move |n| vec![w, n])).collect::<Vec<_>>();
            assert_eq!(records, all);
        }
    });
}

/// What the journal then says, and how it comes to it.
type Loss = (&'static str, fn(&Path));

/// What can happen to a journal while it is open.
fn losses() -> [Loss; 6] {
    fn aside(path: &Path) -> std::path::PathBuf {
        path.with_extension("aside")
    }
    [
        ("deleted", |path| fs::remove_file(path).unwrap()),
        ("deleted", |path| fs::rename(path, aside(path)).unwrap()),
        ("deleted", |path| fs::remove_dir_all(path.parent().unwrap()).unwrap()),
        ("replaced", |path| {
            fs::copy(path, aside(path)).unwrap();
            fs::rename(aside(path), path).unwrap();
        }),
        ("replaced", |path| {
            let folder = path.parent().unwrap();
            fs::rename(folder, aside(folder)).unwrap();
            fs::create_dir(folder).unwrap();
            fs::copy(aside(folder).join("journal"), path).unwrap();
        }),
        // As `cp` does it: the same inode with other bytes.
        ("cut short", |path| fs::write(path, b"").unwrap()),
    ]
}

#[test]
fn a_journal_that_lost_its_name_acknowledges_nothing_more() {
    for durability in [Durability::Process, Durability::Power] {
        for (number, (said, lose)) in losses().into_iter().enumerate() {
            let place = tempfile::tempdir().unwrap();
            let folder = place.path().join("member");
            fs::create_dir(&folder).unwrap();
            let path = folder.join("journal");
            let journal = Journal::open(&path, FORMAT, durability, |_| Ok(())).unwrap();
            journal.append(b"acknowledged").unwrap();
            assert_eq!(journal.health(), Health::Healthy);
            let whole = fs::read(&path).unwrap();
            lose(&path);
            // A file that was moved away still has a name, and for 50 microseconds it is not asked which.
            thread::sleep(Duration::from_micros(if [1, 4].contains(&number) { 60 } else { 0 }));
            let left = fs::read(&path).ok();
            let is_told = |outcome: Result<(), PitError>| {
                let told =
                    matches!(&outcome, Err(PitError::JournalLost { what, .. }) if *what == said);
                assert!(told, "loss {number}: {outcome:?}");
            };
            is_told(journal.append(b"refused").map(drop));
            is_told(journal.append(b"again").map(drop));
            is_told(journal.rewrite([b"all".to_vec()]).map(drop));
            is_told(journal.settle_all());
            is_told(journal.sync());
            assert!(!journal.is_broken(), "nothing mends it");
            assert!(journal.health().reason().is_some_and(|reason| reason.contains(said)));
            // What has the name now is left as it is.
            assert_eq!(fs::read(&path).ok(), left, "loss {number}");
            // Back under its name it is not trusted: what was written meanwhile is not known.
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, whole).unwrap();
            is_told(journal.append(b"still refused").map(drop));
            drop(journal);
            assert_eq!(open(&path).unwrap().1, [b"acknowledged"]);
        }
    }
}

#[test]
fn an_idle_journal_and_one_that_is_about_to_be_rewritten_notice_too() {
    for (said, lose) in losses().into_iter().take(5) {
        let asked: [fn(&Journal) -> String; 3] = [
            |journal| journal.health().reason().unwrap_or_default().to_owned(),
            |journal| journal.rewrite([b"all".to_vec()]).unwrap_err().to_string(),
            |journal| journal.sync().unwrap_err().to_string(),
        ];
        for ask in asked {
            let place = tempfile::tempdir().unwrap();
            let folder = place.path().join("member");
            fs::create_dir(&folder).unwrap();
            let path = folder.join("journal");
            let (journal, _) = open(&path).unwrap();
            lose(&path);
            let answer = ask(&journal);
            assert!(answer.contains(said), "{answer}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_records_survive_any_cut_as_a_prefix(
        records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..12),
        cut in 0.0..1.0_f64,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (journal, _) = open(&path).unwrap();
        let start = journal.mark().offset;
        for record in &records {
            journal.append(record).unwrap();
        }
        let end = journal.mark().offset;
        drop(journal);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the file")]
        let length = start + ((end - start) as f64 * cut) as u64;
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
        let (_, back) = open(&path).unwrap();
        prop_assert!(back.len() <= records.len());
        prop_assert_eq!(&back[..], &records[..back.len()]);
    }
}
