//! `metka keys sync`: collectors of one site that cannot share a directory.

use crate::{PASSPHRASE, Place, kid, stored, visit};

#[test]
fn two_rings_made_apart_become_one_and_a_running_server_follows() {
    let (here, there) = (Place::new(), Place::new());
    let (server, other) = (here.serve(), there.serve());
    let theirs = visit(&other, "192.0.2.1", "/theirs", "").cookie("metka").expect("a cookie");
    // Before: the other collector's cookie is a forgery here.
    let replaced = visit(&server, "192.0.2.1", "/before", &theirs).cookie("metka").expect("it is replaced");
    let keys = there.keys();
    let from = ["keys", "sync", "--from", keys.to_str().expect("plain")];
    let before = std::fs::read(here.keys().join("ring.toml")).expect("readable");
    let error = here.refused(&from, "", 1);
    assert!(error.contains("cookie 1, visitor 1") && error.contains("nothing was changed"), "{error}");
    assert_eq!(std::fs::read(here.keys().join("ring.toml")).expect("readable"), before);

    let done = here.done(&[&from[..], &["--take-theirs"]].concat(), "");
    assert_eq!((&done["replaced"], &done["destroyed"]), (&5.into(), &0.into()), "{done}");
    // After: it is as good here as there, and both store the same visitor.
    assert_eq!(visit(&server, "192.0.2.1", "/after", &theirs).cookie("metka"), None);
    assert_eq!(visit(&other, "192.0.2.1", "/after", &theirs).cookie("metka"), None);
    visit(&server, "192.0.2.1", "/mine", &replaced).cookie("metka").expect("what was ours gave way");
    server.settled("clinic");
    other.settled("clinic");
    let of = |server| stored(server).into_iter().find(|row| row.path == "/after").expect("stored");
    let (mine, other_row) = (of(&server), of(&other));
    assert_eq!((mine.visitor, mine.ip, mine.key), (other_row.visitor, other_row.ip, other_row.key));
    let again = here.done(&from, "");
    assert!(
        again
            .as_object()
            .expect("counts")
            .values()
            .all(|count| *count == 0 || *count == serde_json::json!([])),
        "{again}"
    );

    // A month that both met apart stays as it is in each, and the rest is taken over.
    here.done(&["keys", "rotate", "ip"], "");
    there.done(&["keys", "rotate", "ip"], "");
    let error = here.refused(&from, "", 1);
    assert!(error.contains("differ in ip 20") && error.contains("this ring's were kept"), "{error}");
    here.done(&[&from[..], &["--take-theirs"]].concat(), "");

    // A rotation and a destruction there arrive here with the next sync, from a file.
    there.done(&["keys", "rotate", "cookie"], "");
    there.done(&["keys", "destroy", "cookie", "1"], "");
    let file = there.path().join("keys.sealed");
    let file = file.to_str().expect("plain");
    there.done(&["keys", "export", file, "--passphrase-stdin"], PASSPHRASE);
    assert_eq!(visit(&server, "192.0.2.1", "/still", &theirs).cookie("metka"), None);
    assert!(here.refused(&["keys", "sync", "--from", file], "", 2).contains("--passphrase-stdin"));
    let wrong =
        here.refused(&["keys", "sync", "--from", file, "--passphrase-stdin"], "not the passphrase", 1);
    assert!(wrong.contains("passphrase is wrong"), "{wrong}");
    let done = here.done(&["keys", "sync", "--from", file, "--passphrase-stdin"], PASSPHRASE);
    assert_eq!((&done["added"], &done["destroyed"]), (&1.into(), &1.into()), "{done}");
    let new = visit(&server, "192.0.2.1", "/gone", &theirs).cookie("metka").expect("it is replaced");
    assert_eq!((kid(&new), here.ids("cookie")), (2, (vec![2], vec![1])));
    assert_eq!(visit(&other, "192.0.2.1", "/gone", &new).cookie("metka"), None);
    // An older copy brings nothing back.
    here.done(&["keys", "sync", "--from", file, "--passphrase-stdin", "--take-theirs"], PASSPHRASE);
    assert_eq!(here.ids("cookie"), (vec![2], vec![1]));
    println!("2 rings made apart: 5 keys gave way, then 1 added and 1 destroyed by a sync, 0 came back");
    assert_eq!((server.terminate().0, other.terminate().0), (Some(0), Some(0)));

    // Where there is none, the sync makes one; under a master key of its own.
    let third = Place::new();
    third.done(&from, "");
    assert_eq!(third.ids("cookie"), there.ids("cookie"));
    let ring = |place: &Place, name: &str| std::fs::read(place.keys().join(name)).expect("readable");
    assert_ne!(ring(&third, "master.key"), ring(&there, "master.key"));
}
