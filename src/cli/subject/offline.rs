//! The office without a server: storage, spool and keys for as long as the command
//! lasts, with a shipper that brings to storage what waits.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use super::super::context::{Failure, spool_dir};
use super::super::storage;
use crate::audit::{Actor, Trail};
use crate::config::Config;
use crate::count::Counters;
use crate::privacy::keys::{KeyError, KeyRing};
use crate::serve::Inserts;
use crate::subject::batch::Batch;
use crate::subject::choices::Choices;
use crate::subject::job::Asked;
use crate::subject::{Office, SubjectError};
use crate::{ship, spool};

/// What is to be done.
pub enum Work {
    Job(Asked),
    Batch(Batch),
}

/// Does it.
pub async fn answer(config: Config, asked: Work) -> Result<Value, Failure> {
    // A new ring would find nobody.
    if !KeyRing::exists(&config.keys.dir) {
        return Err(KeyError::NoRing(config.keys.dir.clone()).into());
    }
    let keys = Arc::new(KeyRing::open(&config.keys)?);
    let choices = Choices::new(&config.data_dir);
    choices.load()?;
    let trail = Trail::open(&config.data_dir, keys.clone());
    let options = spool::Options {
        dir: spool_dir(&config),
        spools: 1,
        durability: config.collect.durability,
        seal_interval: config.ship.interval,
        batch_rows: config.ship.batch_rows,
        max_bytes: config.ship.spool_max_bytes,
    };
    let counters = Counters::new(config.sites.iter().map(|site| site.id.as_str()));
    let spool = spool::open(options, counters).map_err(Failure::failed)?;
    let opened = storage::open(&config).await?;
    let office = Office {
        choices: Arc::new(choices),
        config: Arc::new(config),
        keys,
        storage: opened.storage.clone(),
        outlet: spool.outlet.clone(),
        trail: Arc::new(trail),
    };
    let (stop, stopped) = watch::channel(false);
    let shipper =
        tokio::spawn(ship::run(spool.outlet, Inserts(opened.storage.clone()), Arc::default(), stopped));
    let done = work(&office, asked).await;
    // As a server stops: writers first, so that nothing is left open.
    spool.writers.into_iter().for_each(spool::Writer::close);
    stop.send_replace(true);
    // It reports its own faults, and what it has not shipped waits.
    drop(shipper.await);
    opened.close().await;
    done.map_err(Failure::from)
}

/// As a server does when storage is there, and then what was asked.
async fn work(office: &Office, asked: Work) -> Result<Value, SubjectError> {
    office.storage.migrate().await?;
    office.restore_blocks().await?;
    office.recheck().await?;
    let (by, now) = (Actor::running(), jiff::Timestamp::now());
    match asked {
        Work::Job(asked) => office.answer(asked, by, now).await,
        Work::Batch(batch) => office.answer_batch(batch, by, now).await,
    }
}
