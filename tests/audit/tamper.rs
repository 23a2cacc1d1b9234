//! Ten thousand tamperings of one trail by somebody without the key.

use metka::audit::Anchor;

use super::random::Random;
use super::{Files, Place, fill};

const TAMPERINGS: usize = 10_000;
/// Over six months.
const ENTRIES: i64 = 320;
/// States that the tamperer kept, one each so many entries.
const KEPT_EACH: i64 = 20;
const SEED: u64 = 0x6175_6469_7400;

/// Every line of a trail, with the name of its file.
type Lines = Vec<(String, String)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    EditedByte,
    DeletedLine,
    SwappedLines,
    DoubledLine,
    InsertedLine,
    AppendedLine,
    CutTail,
    CutTailAndEditedHead,
    CutTailWithoutHead,
    RemovedMonth,
    SwappedMonths,
    RenamedMonth,
    AddedMonth,
    LineInAnotherMonth,
    OlderHead,
    RolledBack,
    Emptied,
}

const KINDS: [Kind; 17] = [
    Kind::EditedByte,
    Kind::DeletedLine,
    Kind::SwappedLines,
    Kind::DoubledLine,
    Kind::InsertedLine,
    Kind::AppendedLine,
    Kind::CutTail,
    Kind::CutTailAndEditedHead,
    Kind::CutTailWithoutHead,
    Kind::RemovedMonth,
    Kind::SwappedMonths,
    Kind::RenamedMonth,
    Kind::AddedMonth,
    Kind::LineInAnotherMonth,
    Kind::OlderHead,
    Kind::RolledBack,
    Kind::Emptied,
];

// === impl Kind ===

impl Kind {
    /// What the chain alone cannot tell from an earlier moment of the same trail.
    fn needs_an_anchor(self) -> bool {
        matches!(self, Kind::RolledBack | Kind::Emptied)
    }

    fn apply(self, files: &mut Files, kept: &[Files], random: &mut Random) {
        let months: Vec<String> = files.keys().filter(|name| *name != "head").cloned().collect();
        let month = |random: &mut Random| months[random.below(months.len())].clone();
        match self {
            Kind::EditedByte => {
                let names: Vec<String> = files.keys().cloned().collect();
                let name = &names[random.below(names.len())];
                let bytes = files.get_mut(name).expect("it is there");
                let at = random.below(bytes.len());
                bytes[at] ^= 1 + random.below(255) as u8;
            }
            Kind::DeletedLine => {
                let mut all = lines(files);
                all.remove(random.below(all.len()));
                write(files, &all);
            }
            Kind::SwappedLines => {
                let mut all = lines(files);
                let one = random.below(all.len());
                let other = (one + 1 + random.below(all.len() - 1)) % all.len();
                let line = all[one].1.clone();
                all[one].1 = std::mem::replace(&mut all[other].1, line);
                write(files, &all);
            }
            Kind::DoubledLine => {
                let mut all = lines(files);
                let line = all[random.below(all.len())].1.clone();
                let at = random.below(all.len());
                let name = all[at].0.clone();
                all.insert(at + 1, (name, line));
                write(files, &all);
            }
            Kind::InsertedLine => {
                let mut all = lines(files);
                let at = random.below(all.len());
                let (name, line) = all[at].clone();
                all.insert(at, (name, forged(&line, at as u64 + 1, random)));
                write(files, &all);
            }
            Kind::AppendedLine => {
                let mut all = lines(files);
                let (name, line) = all.last().expect("there are lines").clone();
                let number = all.len() as u64 + 1;
                all.push((name, forged(&line, number, random)));
                write(files, &all);
            }
            Kind::CutTail | Kind::CutTailAndEditedHead | Kind::CutTailWithoutHead => {
                let mut all = lines(files);
                all.truncate(all.len() - 1 - random.below(all.len() - 1));
                write(files, &all);
                if self == Kind::CutTailWithoutHead {
                    files.remove("head");
                } else if self == Kind::CutTailAndEditedHead {
                    let last = &all.last().expect("one is left").1;
                    let mac = last.rsplit(' ').next().expect("a MAC").trim();
                    let head = String::from_utf8(files["head"].clone()).expect("text");
                    let (text, seal) = head.rsplit_once(' ').expect("a seal");
                    let mut value: serde_json::Value = serde_json::from_str(text).expect("JSON");
                    let text = text
                        .replace(&value["number"].to_string(), &all.len().to_string())
                        .replace(value["mac"].take().as_str().expect("a MAC"), mac);
                    let seal = if random.chance(50) { seal.trim() } else { mac };
                    files.insert("head".to_owned(), format!("{text} {seal}\n").into_bytes());
                }
            }
            Kind::RemovedMonth => {
                files.remove(&month(random));
            }
            Kind::SwappedMonths => {
                let one = random.below(months.len());
                let other = (one + 1 + random.below(months.len() - 1)) % months.len();
                let text = files[&months[one]].clone();
                let text = files.insert(months[other].clone(), text).expect("it was there");
                files.insert(months[one].clone(), text);
            }
            Kind::RenamedMonth => {
                let text = files.remove(&month(random)).expect("it was there");
                let name = format!("{}-{:02}.log", 2020 + random.below(20), 1 + random.below(12));
                if months.contains(&name) {
                    files.insert("2031-01.log".to_owned(), text);
                } else {
                    files.insert(name, text);
                }
            }
            Kind::AddedMonth => {
                let text = files[&month(random)].clone();
                files.insert(format!("{}-01.log", 2020 + random.below(6)), text);
            }
            Kind::LineInAnotherMonth => {
                let mut all = lines(files);
                let mut edges = (1..all.len()).filter(|at| all[*at].0 != all[*at - 1].0).collect::<Vec<_>>();
                let at = edges.swap_remove(random.below(edges.len()));
                if random.chance(50) {
                    all[at].0 = all[at - 1].0.clone();
                } else {
                    all[at - 1].0 = all[at].0.clone();
                }
                write(files, &all);
            }
            Kind::OlderHead => {
                files.insert("head".to_owned(), kept[random.below(kept.len())]["head"].clone());
            }
            Kind::RolledBack => *files = kept[random.below(kept.len())].clone(),
            Kind::Emptied => files.clear(),
        }
    }
}

/// Every line with the name of its file, in order.
fn lines(files: &Files) -> Lines {
    let months = files.iter().filter(|(name, _)| *name != "head");
    let lines = months.flat_map(|(name, bytes)| {
        let text = String::from_utf8(bytes.clone()).expect("text");
        text.split_inclusive('\n').map(|line| (name.clone(), line.to_owned())).collect::<Vec<_>>()
    });
    lines.collect()
}

fn write(files: &mut Files, lines: &[(String, String)]) {
    files.retain(|name, _| name == "head");
    for (name, line) in lines {
        files.entry(name.clone()).or_default().extend_from_slice(line.as_bytes());
    }
}

/// A line like another with the right number, and a MAC without the key.
fn forged(line: &str, number: u64, random: &mut Random) -> String {
    let (entry, mac) = line.trim_end().rsplit_once(' ').expect("a MAC");
    let (_, rest) = entry.split_once(',').expect("a number and more");
    let mac = match random.chance(50) {
        true => mac.to_owned(),
        false => (0..4).map(|_| format!("{:016x}", random.next())).collect(),
    };
    format!("{{\"number\":{number},{rest} {mac}\n")
}

#[test]
fn ten_thousand_tamperings_are_found() {
    let place = Place::new();
    let trail = place.trail();
    let mut kept = Vec::new();
    for begin in (1..=ENTRIES).step_by(KEPT_EACH as usize) {
        fill(&trail, begin..=begin + KEPT_EACH - 1);
        kept.push(place.files());
    }
    let anchor = trail.anchor().expect("readable");
    let honest = kept.pop().expect("the last state");
    assert_eq!(honest.len(), 7, "six months and the head: {:?}", honest.keys());
    let is_whole = |anchor: Option<Anchor>| trail.verify(anchor).map(|found| found.entries);

    let mut random = Random(SEED);
    let mut found = [0; KINDS.len()];
    let mut only_by_anchor = 0;
    for tampering in 0..TAMPERINGS {
        let at = tampering % KINDS.len();
        let kind = KINDS[at];
        let mut files = honest.clone();
        kind.apply(&mut files, &kept, &mut random);
        assert_ne!(files, honest, "tampering {tampering}, {kind:?}: nothing was tampered with");
        place.put(&honest, &files);
        let alone = is_whole(None);
        if kind.needs_an_anchor() {
            assert!(alone.is_ok(), "tampering {tampering}, {kind:?}: an earlier state is whole: {alone:?}");
            only_by_anchor += 1;
        } else {
            let error =
                alone.expect_err(&format!("tampering {tampering}, {kind:?} was not found")).to_string();
            assert!(error.contains("audit/"), "tampering {tampering}, {kind:?} names no file: {error}");
        }
        let error = is_whole(Some(anchor));
        assert!(error.is_err(), "tampering {tampering}, {kind:?} was not found with the anchor");
        found[at] += 1;
        place.put(&files, &honest);
        let control = is_whole(Some(anchor));
        assert!(matches!(control, Ok(320)), "after tampering {tampering}, {kind:?}: {control:?}");
    }
    let by_kind: Vec<String> =
        KINDS.iter().zip(found).map(|(kind, found)| format!("{kind:?} {found}")).collect();
    println!(
        "{TAMPERINGS} tamperings of {ENTRIES} entries in 6 months, all found: {} by the chain, {only_by_anchor} \
         (an earlier state put back) by the anchor only; {}",
        TAMPERINGS - only_by_anchor,
        by_kind.join(", ")
    );
}

#[test]
fn what_is_wrong_is_named_with_its_file_and_number_and_nothing_is_appended_to_it() {
    let place = Place::new();
    let trail = place.trail();
    let anchor = fill(&trail, 1..=100);
    let honest = place.files();
    assert_eq!(trail.verify(Some(anchor)).expect("whole").entries, 100);
    let check = |what: &str, tamper: &dyn Fn(&mut Lines), error: &str, refuses: bool| {
        let mut files = honest.clone();
        let mut all = lines(&files);
        tamper(&mut all);
        write(&mut files, &all);
        place.put(&honest, &files);
        let found = trail.verify(None).expect_err(what).to_string();
        assert!(found.contains(error), "{what}: {found}");
        assert!(trail.list(&metka::audit::Filter::last(10)).is_err(), "{what}: it is not listed");
        if refuses {
            assert!(trail.append(&super::entry(101)).is_err(), "{what}: nothing is appended");
            assert_eq!(place.files(), files, "{what}: nothing is changed");
        }
        place.put(&place.files(), &honest);
    };
    let february = "2026-02.log: entry 60: ";
    check(
        "edited",
        &|all| all[59].1 = all[59].1.replace("sign_in", "sign_on"),
        &format!("{february}it was edited"),
        false,
    );
    check("deleted", &|all| drop(all.remove(59)), &format!("{february}entry 61 stands in its place"), false);
    check(
        "doubled",
        &|all| all.insert(59, all[58].clone()),
        &format!("{february}entry 59 stands in its place"),
        false,
    );
    check(
        "cut",
        &|all| all.truncate(90),
        "2026-02.log: entry 91: it is missing: the trail was cut off",
        true,
    );
    let torn = |all: &mut Lines| all[99].1 = all[99].1.trim_end().to_owned();
    check("torn", &torn, "2026-02.log: entry 100: its line has no end", true);
    let add = |all: &mut Lines| all.push((all[99].0.clone(), all[99].1.replace(":100,", ":101,")));
    check("added", &add, "2026-02.log: entry 101: it was added without the key", true);
    let other = Anchor { number: 50, mac: anchor.mac };
    assert!(trail.verify(Some(other)).expect_err("another").to_string().contains("entry 50 is another"));
    std::fs::remove_file(place.path("head")).expect("removed");
    let error = trail.append(&super::entry(101)).expect_err("refused").to_string();
    assert!(error.contains("audit/head: it is missing"), "{error}");
    place.put(&place.files(), &honest);
    assert_eq!(trail.append(&super::entry(101)).expect("well again").number, 101);
    // Another ring's key opens nothing.
    let other = Place::new();
    let stranger = metka::audit::Trail::open(place.0.path(), {
        let keys = metka::config::Keys::in_dir(&other.0.path().join("keys"));
        std::sync::Arc::new(metka::privacy::keys::KeyRing::open(&keys).expect("the ring opens"))
    });
    for error in [stranger.verify(None).map(drop), stranger.append(&super::entry(102)).map(drop)] {
        let error = error.expect_err("refused").to_string();
        assert!(error.contains("belongs to another key ring"), "{error}");
    }
}
