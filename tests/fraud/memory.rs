//! What is remembered is what is stored: after a restart, a block, an erasure.

use super::*;

/// The answer but for what depends on when the memory was made.
fn said(mut answer: Value) -> Value {
    answer["memory"] = Value::Null;
    answer
}

#[test]
fn a_restart_remembers_what_was_there() {
    let place = place();
    let server = place.serve();
    let security = token(&server, "security", None);
    let mut people: Vec<Browser> = (0..6).map(|_| Browser::new(IN_RUSSIA)).collect();
    people.push(Browser::of("patient-1", IN_JAPAN));
    people.push(Browser::of("patient-2", IN_AMERICA));
    for (turn, person) in people.iter_mut().enumerate() {
        person.view(&server, "clinic", "/");
        // Some are remembered from batches that came later.
        if turn % 3 == 0 {
            remembered(&server, "clinic");
        }
        person.view(&server, "clinic", "/payment/done");
    }
    people[0].address = IN_AMERICA;
    people[0].view(&server, "clinic", "/payment");
    let questions: Vec<Value> = people
        .iter()
        .map(|person| json!({ "cookie": person.value() }))
        .chain(["patient-1", "patient-2"].map(|user| json!({ "user": user })))
        .chain([IN_RUSSIA, IN_AMERICA].map(|ip| json!({ "ip": ip })))
        .collect();
    let ask = |server: &Server, token: &str| -> Vec<Value> {
        questions.iter().map(|question| said(checked(server, token, question.clone()))).collect()
    };
    let before = ask(&server, &security);
    assert!(before.iter().all(|answer| answer["known"] == true));
    assert!(before.iter().any(|answer| fired(answer).contains(&"speed".to_owned())));
    assert!(before.iter().any(|answer| fired(answer).contains(&"crowded_address".to_owned())));
    server.terminate();
    let server = place.serve();
    assert_eq!(ask(&server, &security), before);
    server.terminate();
}

#[test]
fn who_is_blocked_is_unknown_at_once_and_who_is_erased_for_ever() {
    let place = place();
    let server = place.serve();
    let security = token(&server, "security", None);
    let mut people: Vec<Browser> = ["patient-1", "patient-2", "patient-3", "patient-4", "patient-5"]
        .iter()
        .map(|user| Browser::of(user, IN_RUSSIA))
        .collect();
    for person in &mut people {
        person.view(&server, "clinic", "/");
        person.view(&server, "clinic", "/doctors");
    }
    let known = |server: &Server, question: Value| {
        let reply = post(server, &security, &{
            let mut body = question;
            body["site_id"] = json!("clinic");
            body["purpose"] = json!("fraud");
            body
        });
        assert_eq!(reply.status, 200);
        reply.json()
    };
    remembered(&server, "clinic");
    let of_address =
        |server: &Server| known(server, json!({ "ip": IN_RUSSIA }))["seen"]["visitors_of_last_day"].clone();
    assert_eq!(of_address(&server), 5);
    let job = |verb: &str, person: &Browser| {
        let arguments = ["subject", verb, "--site", "clinic", "--cookie", "-", "--purpose", "asked"];
        place.done(&arguments, person.value())
    };
    job("block", &people[0]);
    // No waiting: a block is in force when it is answered.
    assert_eq!(known(&server, json!({ "cookie": people[0].value() }))["known"], false);
    assert_eq!(of_address(&server), 4);
    job("erase", &people[1]);
    assert_eq!(known(&server, json!({ "cookie": people[1].value() }))["known"], false);
    assert_eq!(of_address(&server), 3);
    let user = place
        .done(&["subject", "erase", "--site", "clinic", "--user", "-", "--purpose", "asked"], "patient-3");
    assert!(user["rows"].as_u64() > Some(0), "{user}");
    for question in [json!({ "user": "patient-3" }), json!({ "cookie": people[2].value() })] {
        assert_eq!(known(&server, question)["known"], false);
    }
    // The others are as before, also once the memory is made anew.
    for person in &people[3..] {
        assert_eq!(known(&server, json!({ "cookie": person.value() }))["seen"]["hits"], 2);
    }
    job("unblock", &people[0]);
    wait_for("the memory to be made anew", || {
        (known(&server, json!({ "cookie": people[0].value() }))["seen"]["hits"] == 2).then_some(())
    });
    assert_eq!(of_address(&server), 3);
    job("block", &people[0]);
    server.terminate();
    let server = place.serve();
    remembered(&server, "clinic");
    for person in &people[..3] {
        assert_eq!(known(&server, json!({ "cookie": person.value() }))["known"], false);
    }
    assert_eq!(known(&server, json!({ "cookie": people[3].value() }))["known"], true);
    assert_eq!(of_address(&server), 2);
    server.terminate();
}
