//! Monitors through the real binary: values, alerts and recoveries for members on several shards, and over HTTP.

use serde_json::{Value, json};

use crate::support::{Client, Options, Server, api, deployments};

fn ask(client: &mut Client, name: &str, data: Value) -> Value {
    client.ask(json!({"type": name, "room": "vitals:ada", "data": data}))
}

fn report(client: &mut Client, value: f64) {
    let answer = ask(client, "monitor.report", json!({"values": {"heart_rate": value, "spo2": 98}}));
    assert_eq!(answer["data"], json!({"accepted": 2}), "{answer}");
}

#[test]
fn members_on_every_shard_see_values_and_hear_of_alerts_and_recoveries() {
    for options in deployments() {
        let server = Server::start(options);
        let mut host = Client::join_server(&server, "host", "admin");
        let mut watch = Client::join_server(&server, "ada", "user");
        let mut nurse = Client::packed(&server, "cyd", "nurse");
        [&mut nurse, &mut host].into_iter().for_each(|client| drop(client.join("vitals:ada")));
        let rule = json!({"rule_id": "high", "name": "heart_rate", "limit": "above", "threshold": 120, "hysteresis": 10, "severity": "critical"});
        let set = ask(&mut host, "monitor.set_rule", rule);
        assert_eq!((&set["data"]["status"], &set["data"]["limit"]), (&json!("ok"), &json!("above")), "{set}");
        let lasting = json!({"rule_id": "long", "name": "heart_rate", "limit": "above", "threshold": 120, "for_seconds": 0.3});
        assert_eq!(ask(&mut host, "monitor.set_rule", lasting)["data"]["status"], "ok");
        report(&mut watch, 80.0);
        let values = nurse.until("$values");
        assert_eq!(values["data"]["values"]["heart_rate"]["value"].as_f64(), Some(80.0), "{values}");
        assert!(values.get("offset").is_none(), "{values}");
        report(&mut watch, 130.0);
        let alert = nurse.until("$alert");
        assert_eq!((&alert["data"]["rule_id"], &alert["priority"]), (&json!("high"), &json!(9)), "{alert}");
        let alert = nurse.until("$alert");
        assert_eq!(alert["data"]["rule_id"], "long", "a value that stays alerts in time: {alert}");
        assert!(alert["offset"].is_number() && alert["data"]["since"].is_string(), "{alert}");
        let mut late = Client::packed(&server, "dan", "user");
        let joined = late.join("vitals:ada");
        let state = &joined["state"]["monitor"];
        assert_eq!(state["values"]["heart_rate"]["value"].as_f64(), Some(130.0), "{joined}");
        assert_eq!(state["rules"][0]["status"], "alerting", "{joined}");
        report(&mut watch, 115.0);
        let recovered = late.until("$recovered");
        assert_eq!(recovered["data"]["rule_id"], "long", "the other has hysteresis: {recovered}");
        report(&mut watch, 105.0);
        assert_eq!(late.until("$recovered")["data"]["rule_id"], "high");
    }
}

#[test]
fn http_does_the_same_and_bad_input_names_its_field() {
    let server = Server::start(Options { shards: 4, ..Options::default() });
    let base = "/v1/rooms/vitals:ada/monitor";
    let (values, rules) = (format!("{base}/values"), format!("{base}/rules"));
    let rule = json!({"rule_id": "low", "name": "spo2", "limit": "below", "threshold": 90, "message": "Look at the patient."});
    assert_eq!(api(&server, "POST", &rules, Some(&rule)).0, 200);
    let low = json!({"values": {"spo2": 85}, "at": "2026-11-20T10:30:00Z"});
    assert_eq!(api(&server, "POST", &values, Some(&low)), (200, json!({"accepted": 1})));
    let (status, state) = api(&server, "GET", base, None);
    assert_eq!((status, &state["rules"][0]["status"]), (200, &json!("alerting")), "{state}");
    assert_eq!(state["values"]["spo2"]["at"], "2026-11-20T10:30:00.000Z", "{state}");
    let early = json!({"values": {"spo2": 99}, "at": "2026-11-20T10:29:59Z"});
    assert_eq!(api(&server, "POST", &values, Some(&early)).1["accepted"], 0, "what is too late counts not");
    let other = "/v1/rooms/vitals:ben/monitor";
    let rise = json!({"rule_id": "rise", "name": "spo2", "limit": "rate_above", "threshold": 1});
    assert_eq!(api(&server, "POST", &format!("{other}/rules"), Some(&rise)).0, 200);
    for (second, value, status) in [(0, 85, "ok"), (10, 86, "ok"), (10, 186, "alerting")] {
        let report = json!({"values": {"spo2": value}, "at": format!("2026-11-20T10:30:{second:02}Z")});
        api(&server, "POST", &format!("{other}/values"), Some(&report));
        let (_, state) = api(&server, "GET", other, None);
        assert_eq!(state["rules"][0]["status"], status, "{second} {value}: {state}");
    }
    for (path, body, field) in [
        (&values, json!({}), "values"),
        (&values, json!({"values": {}}), "values"),
        (&values, json!({"values": [1]}), "values"),
        (&values, json!({"values": {"a b": 1}}), "values"),
        (&values, json!({"values": {"spo2": "85"}}), "values"),
        (&values, json!({"values": {"spo2": 1}, "at": "now"}), "at"),
        (&rules, json!({"rule_id": "x"}), "name"),
        (&rules, json!({"rule_id": "x", "name": "spo2"}), "limit"),
        (&rules, json!({"rule_id": "x", "name": "spo2", "limit": "about", "threshold": 1}), "limit"),
        (&rules, json!({"rule_id": "x", "name": "spo2", "limit": "above", "threshold": "1"}), "threshold"),
        (
            &rules,
            json!({"rule_id": "x", "name": "spo2", "limit": "above", "threshold": 1, "severity": "bad"}),
            "severity",
        ),
        (
            &rules,
            json!({"rule_id": "x", "name": "spo2", "limit": "above", "threshold": 1, "for_seconds": -1}),
            "for_seconds",
        ),
    ] {
        let (status, refused) = api(&server, "POST", path, Some(&body));
        assert_eq!((status, &refused["details"]["field"]), (400, &json!(field)), "{body} {refused}");
    }
    let mut user = Client::join_server(&server, "ada", "user");
    assert_eq!(ask(&mut user, "monitor.set_rule", rule)["name"], "FORBIDDEN");
    assert_eq!(api(&server, "DELETE", &format!("{rules}/low"), None).0, 200);
    assert_eq!(api(&server, "DELETE", &format!("{rules}/low"), None).0, 404);
    let (_, kept) = api(&server, "GET", "/v1/rooms/vitals:ada/history", None);
    let kinds: Vec<&Value> = kept["messages"].as_array().unwrap().iter().map(|of| &of["type"]).collect();
    assert_eq!(kinds, ["$alert", "$recovered"], "{kept}");
    assert_eq!(kept["messages"][0]["data"]["message"], "Look at the patient.");
}

#[test]
fn rules_and_what_alerts_outlive_the_process() {
    let store = std::env::temp_dir().join(format!("fanfare-monitors-{}.redb", std::process::id()));
    let config = format!("[store]\npath = \"{}\"\n", store.display());
    let options = Options { config, ..Options::default() };
    let server = Server::start(options.clone());
    let rule = json!({"rule_id": "high", "name": "heart_rate", "limit": "above", "threshold": 120});
    assert_eq!(api(&server, "POST", "/v1/rooms/vitals:ada/monitor/rules", Some(&rule)).0, 200);
    let mut watch = Client::join_server(&server, "ada", "user");
    report(&mut watch, 130.0);
    drop(server);
    let server = Server::start(Options { shards: 3, ..options });
    let (_, state) = api(&server, "GET", "/v1/rooms/vitals:ada/monitor", None);
    assert_eq!((&state["rules"][0]["status"], &state["values"]), (&json!("alerting"), &json!({})), "{state}");
    let _ = std::fs::remove_file(&store);
}
