//! No core dumps, and no other process of the same user looks into the memory.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::server::{Server, wait_for};
use crate::{CONFIG, Place};

/// `nobody`: a user that has nothing here.
const USER: u32 = 65534;

fn core_limits(pid: u32) -> (String, String) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix("Max core file size")).expect("a limit");
    let mut values = line.split_whitespace().map(str::to_owned);
    (values.next().expect("soft"), values.next().expect("hard"))
}

/// The engine that a server has started.
fn engine_of(server: &Server) -> u32 {
    wait_for("the engine", || {
        let threads = std::fs::read_dir(format!("/proc/{}/task", server.child.id())).ok()?.flatten();
        threads
            .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
            .find_map(|children| children.split_whitespace().next().and_then(|pid| pid.parse().ok()))
    })
}

#[test]
fn server_engine_and_commands_write_no_core_and_are_closed() {
    let place = Place::new();
    let server = place.serve();
    for (who, pid) in [("the server", server.child.id()), ("the engine", engine_of(&server))] {
        let limits = wait_for("its limits", || Some(core_limits(pid)).filter(|(soft, _)| soft == "0"));
        println!("{who}: core limits {limits:?}");
        assert_eq!(limits, ("0".to_owned(), "0".to_owned()));
    }
    // What the kernel says of a command, which begins like every other.
    let memory = |place: &Place| {
        let found = place.findings().into_iter().find(|finding| finding["what"] == "memory");
        found.expect("it is looked at")
    };
    let closed = memory(&place);
    assert_eq!(closed["state"], "ok", "{closed}");
    assert_eq!(server.terminate().0, Some(0));
    // The debugger's way, which the finding can tell from it.
    let open = memory(&place.and("METKA_DUMPABLE", "1"));
    assert!(
        open["state"] == "lacking" && open["text"].as_str().is_some_and(|text| text.ends_with("yes")),
        "{open}"
    );
}

/// A process that is not dumpable belongs to root in `/proc`, one that is to its
/// user: told apart by running as another user, which only root can.
#[test]
fn what_another_user_runs_belongs_to_root_in_proc() {
    let is_root = rustix::process::geteuid().is_root();
    let user = if is_root { USER } else { rustix::process::geteuid().as_raw() };
    let owners = |variable: Option<&str>| {
        let place = Place::with(&format!("{CONFIG}\n[storage]\nurl = \"http://127.0.0.1:9\"\n"));
        let mut program = Path::new(env!("CARGO_BIN_EXE_metka")).to_owned();
        if is_root {
            // The user may not reach the build directory.
            program = place.path().join("metka");
            std::fs::copy(env!("CARGO_BIN_EXE_metka"), &program).expect("copied");
            for path in [place.path(), &program, &place.path().join("metka.toml")] {
                std::os::unix::fs::chown(path, Some(USER), Some(USER)).expect("root may");
            }
        }
        let mut command = std::process::Command::new(&program);
        command.args(["serve", "--config", "metka.toml"]).env_remove("METKA_DUMPABLE");
        command.envs(variable.map(|value| ("METKA_DUMPABLE", value)));
        if is_root {
            command.uid(USER).gid(USER);
        }
        let server = Server::start_by(command, place.path());
        let of = |name: &str| {
            std::fs::metadata(format!("/proc/{}/{name}", server.child.id())).expect("it runs").uid()
        };
        (of("auxv"), of("environ"))
    };
    let (closed, open) = (owners(None), owners(Some("1")));
    println!(
        "run by user {user}: /proc/PID/auxv and environ belong to {closed:?}, with METKA_DUMPABLE=1 to {open:?}"
    );
    assert_eq!((closed, open), ((0, 0), (user, user)));
}
