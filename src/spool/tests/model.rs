//! The spool against a list: random runs of append, seal, ship, kill and reopen.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What storage does: it takes a token once.
#[derive(Default)]
struct Storage {
    tokens: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug)]
enum Step {
    Append {
        rows: usize,
        length: usize,
        month: u32,
    },
    /// Insert and acknowledge.
    Ship,
    /// Insert; the answer is lost.
    ShipUnknown,
    /// The insert fails.
    ShipError,
    /// The process is killed, with all that it did not sync or with it.
    Kill {
        tail: u8,
    },
    /// A clean end and a new start.
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..40usize, 0..1500usize, 0..2u32).prop_map(|(rows, length, month)| Step::Append { rows, length, month }),
        3 => Just(Step::Ship),
        1 => Just(Step::ShipUnknown),
        1 => Just(Step::ShipError),
        1 => any::<u8>().prop_map(|tail| Step::Kill { tail }),
        1 => Just(Step::Reopen),
    ]
}

impl Storage {
    fn insert(&mut self, batch: &Batch) {
        let rows = texts(batch);
        if let Some(before) = self.tokens.insert(batch.token.clone(), rows.clone()) {
            assert_eq!(before, rows, "the same token came with other rows");
        }
    }
}

fn model_options(dir: &Path) -> Options {
    Options { batch_rows: 25, ..options(dir) }
}

/// Writes what an unfinished group may leave behind the last record.
fn tear(dir: &Path, tail: u8) {
    use std::os::unix::fs::FileExt;
    let Some((_, path)) = walk::segment_files(&dir.join("00")).expect("it lists").pop() else { return };
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("it opens");
    let header = scan::read_header(&file).expect("it reads").expect("it is a segment");
    let end = scan::scan(&file, &header, |_| {}).expect("it reads").offset;
    let room = file.metadata().expect("it is there").len() - end;
    let garbage = vec![tail; usize::from(tail).min(room as usize)];
    file.write_all_at(&garbage, end).expect("it is written");
}

fn run(steps: Vec<Step>) {
    let mut dir = scratch();
    let mut rig = Rig::open(model_options(dir.path()), small());
    let mut storage = Storage::default();
    let mut answered = Vec::new();
    for step in steps {
        match step {
            Step::Append { rows, length, month } => {
                let mut tickets = Vec::new();
                for _ in 0..rows {
                    let text = format!("{}:{}", answered.len(), "x".repeat(length));
                    tickets.push(rig.send_in(MONTH + month, &text).expect("there is room"));
                    answered.push(text);
                }
                for ticket in tickets {
                    block_on(ticket).expect("it is kept");
                }
            }
            Step::Ship => {
                if let Some(batch) = rig.outlet.try_next().expect("it reads") {
                    storage.insert(&batch);
                    rig.outlet.acknowledge(&batch).expect("the acknowledgement is written");
                }
            }
            Step::ShipUnknown => {
                if let Some(batch) = rig.outlet.try_next().expect("it reads") {
                    storage.insert(&batch);
                }
            }
            Step::ShipError => drop(rig.outlet.try_next().expect("it reads")),
            Step::Kill { tail } => {
                let copy = scratch();
                // The keeper works in the background: a copy made while it moved a
                // file may lack the file, which a real kill cannot do.
                until("the copy is whole", || {
                    let _ = std::fs::remove_dir_all(copy.path());
                    let names = |dir: &Path| {
                        let mut names: Vec<_> = std::fs::read_dir(dir.join("00"))
                            .expect("it lists")
                            .flatten()
                            .map(|e| e.file_name())
                            .collect();
                        names.sort();
                        names
                    };
                    let before = names(dir.path());
                    copy_files(dir.path(), copy.path());
                    before == names(dir.path()) && before == names(copy.path())
                });
                drop(rig);
                dir = copy;
                tear(dir.path(), tail);
                rig = Rig::open(model_options(dir.path()), small());
                assert_eq!(rig.report.damaged_places, 0, "{:?}", rig.report);
            }
            Step::Reopen => {
                drop(rig);
                rig = Rig::open(model_options(dir.path()), small());
                assert_eq!((rig.report.damaged_places, rig.report.torn_tails), (0, 0), "{:?}", rig.report);
            }
        }
        let counts = rig.site.counts();
        assert_eq!(counts.stored + counts.waiting, answered.len() as u64);
    }
    let Rig { writer, outlet, site, .. } = rig;
    writer.close();
    while let Some(batch) = outlet.try_next().expect("it reads") {
        storage.insert(&batch);
        outlet.acknowledge(&batch).expect("the acknowledgement is written");
    }
    assert_eq!((site.counts().stored, site.counts().waiting), (answered.len() as u64, 0));
    let mut stored: Vec<String> = storage.tokens.into_values().flatten().collect();
    stored.sort();
    answered.sort();
    assert_eq!(stored, answered);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_answered_row_is_stored_exactly_once(steps in proptest::collection::vec(step(), 1..40)) {
        run(steps);
    }
}
