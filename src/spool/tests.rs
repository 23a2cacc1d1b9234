//! The spool as its users see it: append, ship, restart.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;

/// A payload as the spool sees one: the site, then anything.
pub(super) fn payload(site: &str, text: &str) -> Vec<u8> {
    let mut out = vec![site.len() as u8];
    out.extend_from_slice(site.as_bytes());
    out.extend_from_slice(text.as_bytes());
    out
}

pub(super) fn options(dir: &Path) -> Options {
    Options {
        dir: dir.to_owned(),
        spools: 1,
        durability: Durability::Fsync,
        seal_interval: Duration::from_secs(3600),
        batch_rows: 1000,
        max_bytes: 1 << 30,
    }
}

pub(super) fn small() -> Tuning {
    Tuning { segment_bytes: Some(MIN_SEGMENT_BYTES), ..Tuning::default() }
}

pub(super) fn texts(batch: &Batch) -> Vec<String> {
    batch.payloads().map(|row| String::from_utf8_lossy(&row[1 + usize::from(row[0])..]).into_owned()).collect()
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

#[test]
fn what_was_appended_is_shipped_once_and_stays_shipped() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let counters = Counters::new(["clinic"]);
    let site = counters.site("clinic");
    let opened = open_with(options(dir.path()), small(), counters.clone()).expect("the spool opens");
    let writer = opened.writers.into_iter().next().expect("one writer");
    let tickets: Vec<Ticket> = (0..10)
        .map(|number| {
            site.arrived();
            writer
                .append(&site, 24_000, |id, out| {
                    assert_eq!(id.row, number);
                    out.extend_from_slice(&payload("clinic", &format!("row {number}")));
                })
                .expect("there is room")
        })
        .collect();
    for ticket in tickets {
        block_on(ticket).expect("the hit is durable");
    }
    assert_eq!(site.counts().waiting, 10);
    writer.close();
    let batch = opened.outlet.try_next().expect("the disk reads").expect("a batch is sealed");
    assert_eq!(texts(&batch), (0..10).map(|number| format!("row {number}")).collect::<Vec<_>>());
    opened.outlet.acknowledge(&batch).expect("the checkpoint is written");
    drop(batch);
    assert_eq!((site.counts().stored, site.counts().waiting), (10, 0));
    assert!(opened.outlet.try_next().expect("the disk reads").is_none());
    drop(opened.outlet);

    let counters = Counters::new(["clinic"]);
    let opened = open_with(options(dir.path()), small(), counters.clone()).expect("the spool opens again");
    assert!(opened.outlet.try_next().expect("the disk reads").is_none());
    assert_eq!(counters.site("clinic").counts().stored, 10);
    assert_eq!(opened.report.damaged_places, 0, "{:?}", opened.report);
}
