//! What may be done to what is kept: something is put there, or removed.
//!
//! ```text
//! {"put":{"goal":{"name":"Запись","kind":"event","value":"signup"}}}     a new one
//! {"put":{"goal":{"id":"g1",…}}}                                         in the place of another
//! {"remove":{"goal":"g1"}}
//! ```

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::kept::{self, Kept};
use super::store::{Author, SettingsError};
use super::{Funnel, Goal, Kind, Link, Note, Report, Segment, Settings};
use crate::audit::{Action, Actor, Entry};

/// One change.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Put(Put),
    Remove(Remove),
}

/// A thing to be kept; with an id in the place of the one that has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Put {
    Goal(Goal),
    Funnel(Funnel),
    Segment(Segment),
    Note(Note),
    Link(Link),
    Report(Report),
}

/// The id of a thing that is to go.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remove {
    Goal(String),
    Funnel(String),
    Segment(String),
    Note(String),
    Link(String),
    Report(String),
}

/// A change that is made.
#[derive(Clone, Debug)]
pub struct Done {
    pub kind: Kind,
    pub id: String,
    pub deed: Deed,
    /// The thing as it is kept, without what is not shown; an empty object for one that
    /// is gone.
    pub told: Value,
    /// What only the maker of a new link is told, once.
    pub secret: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Added,
    Replaced,
    Removed,
}

// === impl Change ===

impl Change {
    pub fn kind(&self) -> Kind {
        match self {
            Change::Put(Put::Goal(_)) | Change::Remove(Remove::Goal(_)) => Kind::Goal,
            Change::Put(Put::Funnel(_)) | Change::Remove(Remove::Funnel(_)) => Kind::Funnel,
            Change::Put(Put::Segment(_)) | Change::Remove(Remove::Segment(_)) => Kind::Segment,
            Change::Put(Put::Note(_)) | Change::Remove(Remove::Note(_)) => Kind::Note,
            Change::Put(Put::Link(_)) | Change::Remove(Remove::Link(_)) => Kind::Link,
            Change::Put(Put::Report(_)) | Change::Remove(Remove::Report(_)) => Kind::Report,
        }
    }

    /// Makes the change, or says why it cannot be.
    pub(super) fn make(
        self,
        settings: &mut Settings,
        author: &Author,
        now: i64,
    ) -> Result<Done, SettingsError> {
        match self {
            Change::Put(Put::Goal(goal)) => put(settings, goal, author, now),
            Change::Put(Put::Funnel(funnel)) => put(settings, funnel, author, now),
            Change::Put(Put::Segment(segment)) => put(settings, segment, author, now),
            Change::Put(Put::Note(note)) => put(settings, note, author, now),
            Change::Put(Put::Link(link)) => put(settings, link, author, now),
            Change::Put(Put::Report(report)) => put(settings, report, author, now),
            Change::Remove(Remove::Goal(id)) => {
                if let Some(funnel) = settings.funnels.iter().find(|funnel| funnel.steps.contains(&id)) {
                    return Err(SettingsError::Needed { goal: id, funnel: funnel.id.clone() });
                }
                remove::<Goal>(settings, id, author)
            }
            Change::Remove(Remove::Funnel(id)) => remove::<Funnel>(settings, id, author),
            Change::Remove(Remove::Segment(id)) => remove::<Segment>(settings, id, author),
            Change::Remove(Remove::Note(id)) => remove::<Note>(settings, id, author),
            Change::Remove(Remove::Link(id)) => remove::<Link>(settings, id, author),
            Change::Remove(Remove::Report(id)) => remove::<Report>(settings, id, author),
        }
    }
}

fn put<T: Kept>(
    settings: &mut Settings,
    mut thing: T,
    author: &Author,
    now: i64,
) -> Result<Done, SettingsError> {
    let place = match thing.id() {
        "" => None,
        id => Some(place_of::<T>(settings, id, author)?),
    };
    thing.check(settings, now)?;
    let list = T::list(settings);
    let is_taken = |(index, other): (usize, &T)| Some(index) != place && other.own_name() == thing.own_name();
    if thing.own_name().is_some() && list.iter().enumerate().any(is_taken) {
        let name = thing.own_name().unwrap_or_default().to_owned();
        return Err(SettingsError::Taken { kind: T::KIND, name });
    }
    let secret = thing.settle(place.map(|place| &list[place]), &author.name);
    let deed = match place {
        Some(place) => {
            T::list_mut(settings)[place] = thing.clone();
            Deed::Replaced
        }
        None if list.len() >= T::MOST => return Err(SettingsError::Many(T::MOST, T::KIND)),
        None => {
            settings.last += 1;
            thing.set_id(format!("{}{}", T::KIND.letter(), settings.last));
            T::list_mut(settings).push(thing.clone());
            Deed::Added
        }
    };
    Ok(Done { kind: T::KIND, id: thing.id().to_owned(), deed, told: thing.told(), secret })
}

fn remove<T: Kept>(settings: &mut Settings, id: String, author: &Author) -> Result<Done, SettingsError> {
    let place = place_of::<T>(settings, &id, author)?;
    T::list_mut(settings).remove(place);
    Ok(Done { kind: T::KIND, id, deed: Deed::Removed, told: Value::Object(Default::default()), secret: None })
}

/// Where the thing of this id is, if this author may change it.
fn place_of<T: Kept>(settings: &Settings, id: &str, author: &Author) -> Result<usize, SettingsError> {
    let list = T::list(settings);
    let Some(place) = list.iter().position(|thing| thing.id() == id) else {
        return Err(SettingsError::None {
            kind: T::KIND,
            id: id.chars().take(kept::MAX_NAME_CHARS).collect(),
        });
    };
    match list[place].author() {
        Some(by) if by != author.name && !author.others => {
            Err(SettingsError::Foreign { kind: T::KIND, id: id.to_owned() })
        }
        _ => Ok(place),
    }
}

// === impl Done ===

impl Done {
    /// The entry of the audit trail; names and texts of people are not in it.
    pub fn entry(&self, at: Timestamp, actor: Actor, site: &str) -> Entry {
        let action = match (self.kind, self.deed) {
            (Kind::Link, Deed::Added) => Action::LinkMade,
            (Kind::Link, Deed::Removed) => Action::LinkRemoved,
            _ => Action::SettingsChanged,
        };
        Entry::new(at, actor, action).site(site).detail(format!(
            "{} {} {}",
            self.kind,
            self.id,
            self.deed.name()
        ))
    }
}

// === impl Deed ===

impl Deed {
    pub const fn name(self) -> &'static str {
        match self {
            Deed::Added => "added",
            Deed::Replaced => "replaced",
            Deed::Removed => "removed",
        }
    }
}
