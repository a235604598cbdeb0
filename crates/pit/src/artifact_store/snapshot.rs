//! The records that make the index as it is: what a journal is written anew of.
//!
//! Called when a journal is shortened, mended or rescued. Invariant: rows that do not add up to the sums that are kept
//! beside them give no whole snapshot, as something of them is lost.

use std::collections::BTreeMap;

use super::ArtifactId;
use super::index::Index;
use super::lists::take_lists;
use super::record::{Entry, Place, Record, Words, encode};
use crate::journal::Journal;
use crate::{PitResult, RecoveryProgress};

/// Rows that are read at once.
const PAGE: usize = 1024;

/// The records, one after another.
pub(super) struct Snapshot<'a> {
    index: &'a Index,
    waiting: Vec<Record>,
    stage: Stage,
    seen: Seen,
}

enum Stage {
    Entries(Option<u64>),
    Names(Option<String>),
    Done,
}

/// What the rows add up to.
#[derive(Default)]
struct Seen {
    artifacts: u64,
    bytes: u64,
    live: BTreeMap<u32, u64>,
}

impl Seen {
    fn add(&mut self, entry: &Entry) {
        self.artifacts += 1;
        self.bytes = self.bytes.saturating_add(entry.size);
        if let Place::Segment(number, _) = entry.place {
            *self.live.entry(number).or_default() += entry.size;
        }
    }

    /// Chunks count once, however many artifacts are made of them.
    fn add_chunks(&mut self, index: &Index) -> PitResult<()> {
        let mut after: Option<ArtifactId> = None;
        loop {
            let page = index.chunk_page(after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for chunk in page {
                *self.live.entry(chunk.segment).or_default() += u64::from(chunk.size);
            }
        }
    }

    /// Refuses rows that are not all that the sums were made of.
    fn compare(&mut self, index: &Index) -> PitResult<()> {
        self.add_chunks(index)?;
        let sums = index.sums();
        self.live.retain(|_, bytes| *bytes > 0);
        let live = sums.live.iter().filter(|(_, bytes)| **bytes > 0);
        if self.artifacts == sums.artifacts && self.bytes == sums.bytes && self.live.iter().eq(live)
        {
            return Ok(());
        }
        Err(index.damage(format!(
            "its rows are {} artifacts of {} bytes, and its sums {} of {}",
            self.artifacts, self.bytes, sums.artifacts, sums.bytes
        )))
    }
}

/// Writes the journal anew of all that is in the index.
///
/// # Errors
/// [`crate::PitError::Index`] where the rows are not whole, and as [`Journal::rewrite`]; the old one is still in use.
pub(super) fn write_journal(
    index: &mut Index,
    journal: &Journal,
    progress: &RecoveryProgress,
) -> PitResult<()> {
    let records = Snapshot::new(index).collect(progress)?;
    let count = records.len() as u64;
    let mark = journal.rewrite(records)?;
    index.moved_to(mark, count);
    Ok(())
}

impl<'a> Snapshot<'a> {
    pub(super) fn new(index: &'a Index) -> Self {
        let (waiting, stage) = (Vec::new(), Stage::Entries(None));
        Self { index, waiting, stage, seen: Seen::default() }
    }

    /// All of it. Counted by artifacts, of each of which `progress` is told.
    ///
    /// # Errors
    /// [`crate::PitError::Index`] of rows that cannot be read or do not add up.
    pub(super) fn collect(mut self, progress: &RecoveryProgress) -> PitResult<Vec<Vec<u8>>> {
        progress.expect(self.index.sums().artifacts);
        let mut records = Vec::new();
        while let Some(record) = self.next_record()? {
            progress.add(1);
            records.push(record);
        }
        Ok(records)
    }

    fn next_record(&mut self) -> PitResult<Option<Vec<u8>>> {
        while self.waiting.is_empty() {
            match &self.stage {
                Stage::Entries(after) => {
                    let page = self.index.page(*after, PAGE)?;
                    self.stage = match page.last() {
                        Some((_, last)) => Stage::Entries(Some(last.sequence)),
                        None => Stage::Names(None),
                    };
                    if page.is_empty() {
                        self.seen.compare(self.index)?;
                    }
                    for (id, entry) in page.into_iter().rev() {
                        self.seen.add(&entry);
                        let mut entry = self.index.whole(&id, &entry)?;
                        let mut lists = take_lists(&mut entry);
                        // A list of chunks may be as long as a record alone.
                        if lists.len() == 1 && entry.place != Place::Chunks {
                            let Words { names, tags, parents } = lists.pop().unwrap_or_default();
                            entry = Entry { names, tags, parents, ..entry };
                        }
                        let lists = lists.into_iter().rev().filter(|words| !words.is_none());
                        self.waiting.extend(lists.map(|words| Record::Words(id, words)));
                        self.waiting.push(match entry.place {
                            Place::Chunks => {
                                Record::EntryChunks(id, entry, self.index.chunks(&id)?)
                            }
                            _ => Record::Entry(id, entry),
                        });
                    }
                }
                Stage::Names(after) => {
                    let names = self.index.names(after.as_deref(), PAGE)?;
                    self.stage = match names.last() {
                        Some((last, _)) => Stage::Names(Some(last.clone())),
                        None => Stage::Done,
                    };
                    if names.is_empty() {
                        self.waiting.push(Record::Sequence(self.index.sums().next_sequence));
                    }
                    let names = names.into_iter().rev();
                    self.waiting.extend(names.map(|(name, last)| Record::Version(name, last)));
                }
                Stage::Done => return Ok(None),
            }
        }
        self.waiting.pop().map(|record| encode(&record)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PitError;
    use crate::artifact_store::PutOptions;
    use crate::artifact_store::record::{Chunk, Put, decode};
    use crate::journal::{MAX_RECORD, Mark};

    fn put(index: &mut Index, data: &[u8]) {
        let (id, place, size) = (ArtifactId::of(data), Place::Segment(0, 0), data.len() as u64);
        let record = Record::Put(Put::new(id, place, size, 1.0, &PutOptions::default()));
        let change = index.prepare(&record).unwrap();
        index.apply(change, Mark { generation: 1, offset: 100 });
    }

    #[test]
    fn rows_that_do_not_add_up_make_no_journal() {
        let folder = tempfile::tempdir().unwrap();
        let (mut index, _) = Index::open(&folder.path().join("index")).unwrap();
        put(&mut index, b"one");
        put(&mut index, b"two");
        assert_eq!(Snapshot::new(&index).collect(&RecoveryProgress::default()).unwrap().len(), 3);
        let mut row = b"a".to_vec();
        row.extend_from_slice(ArtifactId::of(b"one").as_bytes());
        index.rows_mut().apply([(row, None)]);
        let refused = Snapshot::new(&index).collect(&RecoveryProgress::default());
        assert!(matches!(refused, Err(PitError::Index { .. })), "{refused:?}");
    }

    #[test]
    fn however_many_names_tags_and_parents_one_content_has_the_journal_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name| Index::open(&folder.path().join(name)).unwrap().0;
        let mark = Mark { generation: 1, offset: 100 };
        let apply = |index: &mut Index, record: &Record| {
            let change = index.prepare(record).unwrap();
            index.apply(change, mark);
        };
        let mut index = open("index");
        let chunk = Chunk { id: ArtifactId::of(b"c"), segment: 7, offset: 0, size: 100 };
        let ids = [b"one", b"two"].map(|data| ArtifactId::of(data));
        // More than fits into a record, of each.
        let many = MAX_RECORD / 1000 + 1000;
        for part in 0..many as u64 / 100 {
            for (id, in_chunks) in ids.into_iter().zip([false, true]) {
                let numbers = part * 100..(part + 1) * 100;
                let options = PutOptions {
                    tags: numbers.clone().map(|number| format!("{number:01000}")).collect(),
                    parents: numbers.map(|number| ArtifactId::of(&number.to_be_bytes())).collect(),
                    name: Some(format!("{part:01000}")),
                };
                let place = if in_chunks { Place::Chunks } else { Place::Segment(0, 0) };
                let put = Put::new(id, place, 100, 1.0, &options);
                apply(
                    &mut index,
                    &if in_chunks { Record::PutChunks(put, vec![chunk]) } else { Record::Put(put) },
                );
            }
        }
        for number in 0..many {
            let options =
                PutOptions { name: Some(format!("{number:0900}")), ..PutOptions::default() };
            let put = Put::new(ids[0], Place::Segment(0, 0), 100, 1.0, &options);
            apply(&mut index, &Record::Put(put));
        }
        let records = Snapshot::new(&index).collect(&RecoveryProgress::default()).unwrap();
        let mut again = open("again");
        for record in &records {
            apply(&mut again, &decode(record).unwrap());
        }
        for id in &ids {
            let whole = |index: &Index| index.whole(id, &index.get(id).unwrap().unwrap()).unwrap();
            assert!(whole(&again) == whole(&index), "it is not the same");
        }
        assert_eq!(again.sums().artifacts, 2);
        assert_eq!(again.names(None, usize::MAX).unwrap(), index.names(None, usize::MAX).unwrap());
    }

    #[test]
    fn a_chunk_that_is_lost_makes_no_journal() {
        let folder = tempfile::tempdir().unwrap();
        let chunk = |number: u8| Chunk {
            id: ArtifactId::of(&[number]),
            segment: 7,
            offset: u64::from(number) * 100,
            size: 100,
        };
        for lost in [b'c', b'l'] {
            let (mut index, _) = Index::open(&folder.path().join("index")).unwrap();
            for (data, chunks) in [(b"one", vec![chunk(1), chunk(2)]), (b"two", vec![chunk(2)])] {
                let id = ArtifactId::of(data);
                let put = Put::new(id, Place::Chunks, 200, 1.0, &PutOptions::default());
                let change = index.prepare(&Record::PutChunks(put, chunks)).unwrap();
                index.apply(change, Mark { generation: 1, offset: 100 });
            }
            let progress = RecoveryProgress::default();
            assert_eq!(Snapshot::new(&index).collect(&progress).unwrap().len(), 3);
            let id = if lost == b'c' { chunk(1).id } else { ArtifactId::of(b"one") };
            let mut row = vec![lost];
            row.extend_from_slice(id.as_bytes());
            index.rows_mut().apply([(row, None)]);
            let refused = Snapshot::new(&index).collect(&progress);
            assert!(matches!(refused, Err(PitError::Index { .. })), "{refused:?}");
        }
    }
}
