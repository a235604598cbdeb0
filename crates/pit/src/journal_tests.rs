//! Faults that only a file of another kind can bring: `fsync` and `fdatasync` of `/dev/null` fail, writes do not.

use super::*;
use crate::disk::OpenAs;

const FORMAT: Format = Format { magic: *b"testtest", version: 3 };

fn open(path: &Path, durability: Durability) -> (Journal, Vec<Vec<u8>>) {
    let mut records = Vec::new();
    let journal = Journal::open(path, FORMAT, durability, |record| {
        records.push(record.to_vec());
        Ok(())
    });
    (journal.unwrap(), records)
}

fn unflushable() -> File {
    let file = disk::open(Path::new("/dev/null"), OpenAs::Write).unwrap();
    assert!(file.sync_all().is_err() && file.sync_data().is_err());
    file
}

#[test]
fn what_follows_a_rename_goes_to_the_new_file_though_the_folder_is_not_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (journal, _) = open(&path, Durability::Process);
    journal.append(b"before").unwrap();
    let mark = journal.replace([b"before".to_vec()], &unflushable()).unwrap();
    assert_eq!(journal.mark(), mark);
    journal.append(b"after").unwrap();
    drop(journal);
    assert_eq!(open(&path, Durability::Process).1, [&b"before"[..], b"after"]);
}

#[test]
fn under_power_nothing_is_acknowledged_behind_a_name_that_is_not_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (journal, _) = open(&path, Durability::Power);
    journal.append(b"before").unwrap();
    let _mark = journal.replace([b"before".to_vec()], &unflushable()).unwrap();
    assert!(journal.is_broken());
    assert!(matches!(journal.append(b"refused"), Err(PitError::Io { .. })));
    let _mark = journal.rewrite([b"before".to_vec()]).unwrap();
    assert!(!journal.is_broken());
    journal.append(b"after").unwrap();
    drop(journal);
    assert_eq!(open(&path, Durability::Power).1, [&b"before"[..], b"after"]);
}

#[test]
fn a_rewrite_that_fails_before_the_rename_leaves_the_old_journal_and_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (journal, _) = open(&path, Durability::Process);
    journal.append(b"before").unwrap();
    assert!(journal.rewrite([b"new".to_vec(), vec![0; MAX_RECORD + 1]]).is_err());
    assert!(!crate::journal_file::temporary_path(&path).exists());
    journal.append(b"after").unwrap();
    drop(journal);
    assert_eq!(open(&path, Durability::Process).1, [&b"before"[..], b"after"]);
}

#[test]
fn a_flush_that_failed_breaks_the_journal_until_it_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (journal, _) = open(&path, Durability::Power);
    journal.append(b"before").unwrap();
    journal.lose_the_disk();
    assert!(journal.append(b"lost").is_err());
    assert!(journal.is_broken());
    assert!(journal.append(b"refused").is_err() && journal.sync().is_err());
    let _mark = journal.rewrite([b"before".to_vec()]).unwrap();
    journal.append(b"after").unwrap();
    drop(journal);
    assert_eq!(open(&path, Durability::Power).1, [&b"before"[..], b"after"]);
}

/// Opens as a member does that keeps beside its journal how far it goes.
fn open_kept(path: &Path) -> PitResult<Journal> {
    let opening = Journal::begin_kept(path, FORMAT, Durability::Process)?;
    opening.refuse_cut(None)?;
    opening.replay(None, |_, _| Ok(()))
}

/// What is left of a journal of which nothing but its name and header, or less, had reached the disk.
const POWER_CUTS: [fn(&Path); 3] = [
    |path| std::fs::remove_file(path).unwrap(),
    |path| std::fs::write(path, b"").unwrap(),
    |path| File::options().write(true).open(path).unwrap().set_len(HEADER).unwrap(),
];

#[test]
fn a_journal_that_was_never_flushed_is_no_loss_after_a_power_cut_and_one_that_was_is() {
    for cut in POWER_CUTS {
        for (is_flushed, is_another_start) in [(false, false), (false, true), (true, true)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal");
            let journal = open_kept(&path).unwrap();
            journal.append(b"first").unwrap();
            if is_flushed {
                journal.sync().unwrap();
            }
            drop(journal);
            cut(&path);
            if is_another_start {
                KeptMark::of(&path).age();
            }
            let opened = open_kept(&path);
            let is_refused = matches!(opened, Err(PitError::JournalMissing { .. }));
            assert_eq!(is_refused, is_flushed || !is_another_start, "{opened:?}");
        }
    }
}

#[test]
fn what_a_killed_process_has_not_flushed_is_flushed_before_it_is_kept_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    open_kept(&path).unwrap().append(b"first").unwrap();
    let again = open_kept(&path).unwrap();
    again.lose_the_disk();
    assert!(again.seal().is_err(), "it is not on the disk");
    assert!(!KeptMark::of(&path).read().unwrap().is_flushed);
    open_kept(&path).unwrap().seal().unwrap();
    let last = open_kept(&path).unwrap();
    last.lose_the_disk();
    last.seal().unwrap();
}

#[test]
fn a_second_name_goes_again_unless_the_first_was_given_to_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (journal, _) = open(&path, Durability::Process);
    journal.append(b"before").unwrap();
    let kept = crate::journal_file::beside(&path, ".kept-1");
    drop(journal.keep_aside().unwrap());
    assert!(!kept.exists());
    assert_eq!(journal.keep_aside().unwrap().stays(), kept);
    assert_eq!(std::fs::read(&kept).unwrap(), std::fs::read(&path).unwrap());
    // As after a kill before the first name was given away: the next attempt leaves no third name.
    assert_eq!(journal.keep_aside().unwrap().stays(), kept);
    journal.rewrite([b"anew".to_vec()]).unwrap();
    assert_ne!(journal.keep_aside().unwrap().stays(), kept, "it is another file's");
}

/// The descriptors of this process that lead to a file.
fn descriptors_of(path: &Path) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    open.filter(|entry| {
        let entry = entry.as_ref().unwrap().path();
        std::fs::read_link(entry).is_ok_and(|target| target == path)
    })
    .count()
}

#[test]
fn a_journal_that_was_closed_holds_no_file_and_takes_nothing_whoever_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (journal, _) = open(&path, Durability::Power);
    journal.append(b"before").unwrap();
    let written = journal.write_all([&b"under way"[..]]).unwrap();
    assert_eq!(descriptors_of(&path), 1);
    journal.close().unwrap();
    // Whoever waits for the disk still can.
    journal.settle(written).unwrap();
    assert_eq!(descriptors_of(&path), 0);
    journal.close().unwrap();
    assert!(matches!(journal.append(b"after"), Err(PitError::Stopped { .. })));
    assert!(matches!(journal.rewrite([]), Err(PitError::Stopped { .. })));
    assert!(matches!(journal.reread(|_, _| Ok(())), Err(PitError::Stopped { .. })));
    drop(journal);
    assert_eq!(open(&path, Durability::Power).1, [b"before".to_vec(), b"under way".to_vec()]);
}
