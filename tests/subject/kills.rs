//! The server is killed between two steps of an erasure by an address, at a moment that
//! `kill.c` meets exactly; the next start carries the erasure out.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::browser::{Browser, stored};
use crate::refusals::{BY_ADDRESS, counts, refuse, refused};
use crate::server::{Server, wait_for};
use crate::{ADDRESS, PURPOSE, count, others, place, traces};

/// A text that only hits of the erased address hold.
const CANARY: &str = "canary-7d20c4";
const ANOTHER: &str = "198.51.100.20";

/// A moment: before or after a call, which is known by a part of its path or of what it sends.
type Moment = (&'static str, &'static str, &'static str);

/// Between each two steps, in their order (`src/subject/erase.rs`).
const MOMENTS: [Moment; 7] = [
    ("before", "rename", "/spool/tombstones$"),
    ("before", "rename", "/backups/tombstones$"),
    ("before", "send", "ALTER TABLE metka.hits DELETE"),
    ("before", "send", "ALTER TABLE metka.refusals DELETE"),
    ("after", "send", "ALTER TABLE metka.refusals DELETE"),
    ("before", "rename", "/rights/acts/"),
    ("before", "unlink", "/rights/erasing.json$"),
];
/// Others, which `METKA_SOAK` adds.
const FURTHER: [Moment; 4] = [
    ("after", "rename", "/rights/erasing.json$"),
    ("after", "rename", "/backups/tombstones$"),
    ("after", "send", "ALTER TABLE metka.hits DELETE"),
    ("after", "rename", "/rights/acts/"),
];

/// `metka serve` that dies at this moment.
fn serve(dir: &Path, (when, call, part): Moment, mark: &Path) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_metka"));
    command.args(["serve", "--config", "metka.toml"]);
    command.env("LD_PRELOAD", library()).env("METKA_KILL_MARK", mark);
    command.env("METKA_KILL_WHEN", when).env("METKA_KILL_CALL", call).env("METKA_KILL_PART", part);
    Server::start_by(command, dir)
}

#[test]
fn an_erasure_by_address_is_carried_out_between_whichever_steps_the_server_is_killed() {
    let further = std::env::var_os("METKA_SOAK").map_or(&[][..], |_| &FURTHER);
    let moments = [&MOMENTS[..], further].concat();
    for moment in moments.iter().copied() {
        let place = place();
        let mark = place.path().join("killed");
        let mut server = serve(place.path(), moment, &mark);
        let (mut anna, mut boris) = (Browser::new(ADDRESS), Browser::new(ANOTHER));
        for page in 0..5 {
            anna.view(&server, "clinic", &format!("/{CANARY}/{page}"));
            boris.view(&server, "clinic", &format!("/other/{page}"));
        }
        // Somebody else of the same address, and the address on a site that is not meant.
        Browser::new(ADDRESS).view(&server, "clinic", &format!("/{CANARY}/once"));
        Browser::new(ADDRESS).view(&server, "other", "/elsewhere");
        stored(&server, "clinic", 11);
        stored(&server, "other", 1);
        let kept = others(&server, CANARY);
        // They are not in the table before the erasure has them written.
        for (site, address, times) in [("clinic", ADDRESS, 4), ("clinic", ANOTHER, 3), ("other", ADDRESS, 2)]
        {
            refuse(&server, site, address, times);
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_metka"))
            .args(["subject", "erase", "--purpose", PURPOSE])
            .args(BY_ADDRESS)
            .args(["--json", "--config", "metka.toml"])
            .current_dir(place.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let ended = wait_for("the server to be killed", || server.child.try_wait().expect("a child of ours"));
        assert!(mark.exists(), "{moment:?}: it did not die of its fault: {ended}");
        assert!(!command.wait().expect("it ends").success(), "{moment:?}: the erasure was over");
        let order = place.data().join("rights/erasing.json");
        assert!(order.exists(), "{moment:?}: the erasure had not begun, or was over");
        drop(server);

        let server = place.serve();
        wait_for("the erasure to be carried out", || (!order.exists()).then_some(()));
        assert_eq!(traces(&place, &server, CANARY), (Vec::new(), 0), "{moment:?}");
        assert_eq!(others(&server, CANARY), kept, "{moment:?}: nobody else has changed");
        assert_eq!(
            (count(&server, "site = 'clinic'"), count(&server, "site = 'other'")),
            (5, 1),
            "{moment:?}"
        );
        assert_eq!(counts(&refused(&server)), [("clinic", 3), ("other", 2)], "{moment:?}");
        let acts = acts(&place.data().join("rights/acts"));
        // Of an attempt that died behind its own act there may be another.
        assert!((1..=2).contains(&acts.len()), "{moment:?}: {} acts", acts.len());
        for act in &acts {
            assert_eq!(act["rows"], 6, "{moment:?}: {act}");
            let notes = act["notes"].to_string();
            assert!(notes.contains("4 refused hits of the address are destroyed"), "{moment:?}: {notes}");
        }
        // What came to be forgotten stays so.
        let subject = place.done(&[&["subject", "find", "--purpose", PURPOSE], &BY_ADDRESS[..]].concat(), "");
        assert_eq!(subject["rows"], 0, "{moment:?}: {subject}");
        assert_eq!(server.terminate().0, Some(0));
        println!("killed at {moment:?}: carried out by the next start");
    }
    println!("{} kills inside erasures by address, each at its moment; all carried out", moments.len());
}

/// The acts that are there, as programs read them.
fn acts(dir: &Path) -> Vec<Value> {
    let names = std::fs::read_dir(dir).expect("acts").map(|entry| entry.expect("readable").path());
    let written = names.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let read =
        |path| -> Value { serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON") };
    written.map(|path| read(path)["act"].clone()).collect()
}

/// Builds what kills, once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<std::path::PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/subject/kill.c");
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kill-{}.so", std::process::id()));
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
            .args([&out, &source])
            .arg("-ldl")
            .output()
            .expect("a C compiler, cc, is there wherever Rust links");
        assert!(output.status.success(), "kill.c: {}", String::from_utf8_lossy(&output.stderr));
        out
    })
}
