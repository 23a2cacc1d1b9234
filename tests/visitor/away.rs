//! Storage that is away: hits go on, questions are told to come again, and what takes effect
//! at once does so as soon as it can.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::process::{Pid, Signal, kill_process};

use crate::server::{Server, wait_for};
use crate::{ADDRESS, Browser, ELSEWHERE, numbers, place, place_with, register, stored, text};

/// The engine behind the server, by its lock.
fn engine(server: &Server) -> Option<Pid> {
    let text = std::fs::read_to_string(server.data().join("engine/lock")).ok()?;
    Pid::from_raw(text.trim().parse().ok()?)
}

/// Keeps each engine that comes stopped while `work` is done: whoever watches over it starts
/// another one.
fn while_stopped<T>(server: &Server, work: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    let mut stopped = engine(server).expect("an engine");
    kill_process(stopped, Signal::STOP).expect("it runs");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                let next = wait_for("another engine, or the end", || {
                    let next = engine(server).filter(|pid| *pid != stopped);
                    (next.is_some() || is_over.load(Relaxed)).then_some(next)
                });
                if let Some(pid) = next
                    && kill_process(pid, Signal::STOP).is_ok()
                {
                    stopped = pid;
                }
            }
            // It may be gone already.
            let _ = kill_process(stopped, Signal::CONT);
        });
        let value = work();
        is_over.store(true, Relaxed);
        value
    })
}

#[test]
fn a_question_that_storage_does_not_answer_slows_no_hit_and_is_told_to_come_again() {
    let place = place();
    let server = place.serve();
    let (mut anna, mut boris) = (Browser::new(ADDRESS), Browser::new(ELSEWHERE));
    anna.view(&server, "clinic", "/anna");
    stored(&server, "clinic", 1);
    let (reply, hits) = while_stopped(&server, || {
        let is_answered = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let reply = anna.get(&server, "/privacy/data?s=clinic&lang=en");
                is_answered.store(true, Relaxed);
                reply
            });
            // One thread takes hits and carries the question: it would stand still if it waited.
            let mut hits = 0;
            while !is_answered.load(Relaxed) && hits < 2000 {
                boris.view(&server, "clinic", "/boris");
                hits += 1;
            }
            (asking.join().expect("an answer"), hits)
        })
    });
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("60")), "{}", text(&reply));
    assert!(text(&reply).contains("Storage does not answer"), "{}", text(&reply));
    assert!(hits > 100, "{hits} hits were answered meanwhile");
    println!("{hits} hits were answered while one question waited for storage, which was stopped");
    wait_for("the engine", || {
        (anna.get(&server, "/privacy/data?s=clinic&lang=en").status == 200).then_some(())
    });
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn a_block_that_storage_could_not_take_is_in_force_when_it_is_back_also_after_a_restart() {
    let place = place();
    let server = place.serve();
    let (mut anna, mut boris) = (Browser::new(ADDRESS), Browser::new(ELSEWHERE));
    for browser in [&mut anna, &mut boris] {
        browser.view(&server, "clinic", "/page");
    }
    stored(&server, "clinic", 2);
    let page = |server: &Server, browser: &Browser, at: &str| text(&browser.get(server, at));
    let hers = while_stopped(&server, || {
        let at = anna.ask(&server, "s=clinic&lang=en&kind=block");
        assert!(page(&server, &anna, &at).contains("Accepted and being carried out"));
        at
    });
    wait_for("her block", || page(&server, &anna, &hers).contains("The data is blocked").then_some(()));
    assert_eq!(numbers(&place), serde_json::json!([1, 1]));
    let his = while_stopped(&server, || boris.ask(&server, "s=clinic&lang=en&kind=block"));
    server.kill();
    let server = place.serve();
    wait_for("his block", || page(&server, &boris, &his).contains("The data is blocked").then_some(()));
    // It is carried out as soon as storage answers, and questions are a moment after.
    wait_for("storage", || {
        let health = crate::http::exchange(server.web, &crate::http::get("/health", &[]));
        (health.json()["storage"] == "ready").then_some(())
    });
    assert_eq!(numbers(&place), serde_json::json!([0, 0]));
    assert_eq!(register(&place).len(), 2);
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn what_an_officer_refuses_while_storage_is_away_is_not_done_when_it_is_tried_again() {
    let place = place_with("[rights]\nerase_at_once = true\n[storage]\nurl = \"http://127.0.0.1:9\"\n");
    let server = place.serve();
    let mut anna = Browser::new(ADDRESS);
    anna.view(&server, "clinic", "/anna");
    anna.ask(&server, "s=clinic&lang=en&kind=erase");
    let has_logged =
        |words: &str| server.log.lock().expect("no panic holds this lock").contains(words).then_some(());
    wait_for("a try that failed", || has_logged("is tried again"));
    let number = register(&place)[0]["number"].as_str().expect("a number").to_owned();
    place.done(&["subject", "close", &number, "--answer", "a claim needs the data", "--refused"], "");
    wait_for("the next try", || has_logged("an officer has decided about a visitor's request"));
    assert_eq!(register(&place)[0]["state"], "refused");
    let history = register(&place)[0]["history"].to_string();
    assert!(history.contains("closed: refused") && !history.contains("erase"), "{history}");
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn what_a_slow_disk_registers_after_the_answer_is_carried_out_too() {
    let place = place();
    let server = place.serve();
    let (mut anna, mut boris) = (Browser::new(ADDRESS), Browser::new(ELSEWHERE));
    for browser in [&mut anna, &mut boris] {
        browser.view(&server, "clinic", "/page");
    }
    stored(&server, "clinic", 2);
    // It makes the register, whose lock is what the disk is slow at.
    boris.ask(&server, "s=clinic&kind=access");
    let lock = File::options().write(true).open(place.data().join("rights/requests.lock"));
    let lock = lock.expect("the register's lock");
    lock.lock().expect("nobody else holds it for long");
    let reply = anna.post(&server, "/privacy/request", "s=clinic&lang=en&kind=block");
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("60")), "{}", text(&reply));
    assert_eq!(register(&place).len(), 1, "it is not registered yet");
    drop(lock);
    wait_for("her block", || (numbers(&place) == serde_json::json!([1, 1])).then_some(()));
    let request = register(&place).remove(1);
    assert_eq!((&request["kind"], &request["state"]), (&"block".into(), &"open".into()));
    // She asks again, and is shown what is in force.
    let at = anna.ask(&server, "s=clinic&lang=en&kind=block");
    assert!(at.ends_with("said=open"), "{at}");
    let is_told = || text(&anna.get(&server, &at)).contains("The data is blocked.").then_some(());
    wait_for("the page to say so", is_told);
    assert_eq!(server.terminate().0, Some(0));
}
