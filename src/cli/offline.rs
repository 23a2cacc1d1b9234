//! The office without a server: storage, spool and keys for as long as a command
//! lasts, with a shipper that brings to storage what waits.

use std::sync::Arc;

use tokio::sync::watch;

use super::context::{Failure, spool_dir};
use super::storage;
use crate::audit::Trail;
use crate::config::Config;
use crate::count::Counters;
use crate::privacy::keys::{KeyError, KeyRing};
use crate::serve::Inserts;
use crate::subject::choices::Choices;
use crate::subject::{Office, SubjectError, kept};
use crate::{ship, spool};

/// Does one piece of work, once storage is as a server would have it.
pub async fn with_office<T, E>(
    config: Config,
    work: impl AsyncFnOnce(&Office) -> Result<T, E>,
) -> Result<T, Failure>
where
    E: From<SubjectError>,
    Failure: From<E>,
{
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
    spool.outlet.keep(kept::who(&config));
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
    let done = match prepared(&office).await {
        Ok(()) => work(&office).await,
        Err(error) => Err(E::from(error)),
    };
    // As a server stops: writers first, so that nothing is left open.
    spool.writers.into_iter().for_each(spool::Writer::close);
    stop.send_replace(true);
    // It reports its own faults, and what it has not shipped waits.
    drop(shipper.await);
    opened.close().await;
    done.map_err(Failure::from)
}

/// As a server does when storage is there.
async fn prepared(office: &Office) -> Result<(), SubjectError> {
    office.storage.migrate().await?;
    office.restore_blocks().await?;
    office.recheck().await?;
    Ok(())
}
