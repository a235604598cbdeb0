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
