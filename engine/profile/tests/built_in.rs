//! The profiles that come with the engine are whole, and go together.

use std::collections::BTreeMap;

use fanfare_profile::{BUILT_IN, Profile, Profiles};

fn all() -> Vec<Profile> {
    let parse = |(name, text): (&str, &str)| {
        let profile = Profile::parse(text, &BTreeMap::new(), &|_| None);
        let profile = profile.map_err(|problem| format!("{name}: {problem}"))?;
        assert_eq!(&*profile.name, name);
        Ok(profile)
    };
    let read: Vec<Result<Profile, String>> = BUILT_IN.into_iter().map(parse).collect();
    let wrong: Vec<&String> = read.iter().filter_map(|profile| profile.as_ref().err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    read.into_iter().flatten().collect()
}

#[test]
fn each_can_be_read_and_all_go_together() {
    let profiles = Profiles::new(all()).unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(profiles.iter().count(), BUILT_IN.len());
    assert!(!profiles.dialects().is_empty());
}

#[test]
fn every_setting_of_theirs_has_a_variable_or_says_what_it_is() {
    for profile in all() {
        for setting in &profile.settings {
            assert!(setting.env.is_some() || !setting.about.is_empty(), "{}: {}", profile.name, setting.name);
        }
    }
}

#[test]
fn two_that_want_one_path_are_both_named() {
    let table = |name| format!("name = {name:?}\n[[endpoint]]\npath = \"/live/{{id}}\"\n");
    let parse = |name| Profile::parse(&table(name), &BTreeMap::new(), &|_| None).unwrap();
    let problem = Profiles::new(vec![parse("one"), parse("two")]).unwrap_err();
    assert!(problem.message.contains("`one`") && problem.message.contains("`two`"), "{problem}");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, place, word) in [
        (
            "name = \"x\"\n[[endpoint]]\npath = \"/a\"\nclient_id = \"=a +\"",
            "endpoint[0].client_id",
            "no expression",
        ),
        ("name = \"x\"\n[[endpoint]]\npath = \"/v1/ws\"", "endpoint[0].path", "engine's own"),
        ("name = \"x\"\n[[endpoint]]\npth = \"/a\"", "endpoint[0].pth", "unknown field"),
        ("name = \"x\"\n[[in]]\ntype = \"a\"\nfields = { b = \"word\" }", "in[0].fields.b", "must be one of"),
        ("name = \"x\"\n[[out]]\nof = \"a\"\nwhen = \"=(\"", "out[0].when", "no expression"),
        ("name = \"x\"\n[close]\n4001 = { code = 1005 }", "close.4001", "close frame"),
        ("name = \"x\"\n[errors]\n7 = \"seven\"", "errors.7", "4000 to 4014"),
        ("name = \"x\"\n[[http]]\nmethod = \"LOOK\"\npath = \"/a\"", "http[0].method", "GET"),
        ("name = \"x\"\nabout = \"${nothing}\"", "about", "no setting `nothing`"),
        ("name = \"all\"", "name", "not `all`"),
        ("name = ", "", ""),
    ] {
        let problem = Profile::parse(text, &BTreeMap::new(), &|_| None).unwrap_err();
        assert_eq!(problem.place, place, "{problem}");
        assert!(problem.message.contains(word), "{problem}");
    }
}

#[test]
fn what_could_never_work_is_no_table() {
    let endpoint = "[[endpoint]]\npath = \"/a\"\n";
    for (text, place, word) in [
        (
            "[[endpoint.check]]\nthat = \"=x\"\nreason = \"no\"\nclose = 999",
            "endpoint[0].check[0].close",
            "1000 to",
        ),
        (
            "[[endpoint.check]]\nthat = \"=x\"\nreason = \"no\"\nclose = 1006",
            "endpoint[0].check[0].close",
            "1000 to",
        ),
        (
            "[[endpoint.check]]\nthat = \"=x\"\nreason = \"=x +\"",
            "endpoint[0].check[0].reason",
            "no expression",
        ),
        ("message_size = \"800MiB\"", "endpoint[0].message_size", "16MiB at most"),
        ("message_size = \"$big\"", "endpoint[0].message_size", "no setting `big`"),
        ("idle = \"$quiet\"", "endpoint[0].idle", "no setting `quiet`"),
        (
            "anonymous = { allowed = \"$anon\", role = \"x\" }",
            "endpoint[0].anonymous.allowed",
            "no setting `anon`",
        ),
        ("[limits]\nconnections = \"$most\"", "limits.connections", "no setting `most`"),
        ("[limits]\nconnections = -1", "limits.connections", "must be a whole number"),
        ("tied = 1", "endpoint[0].tied", "must be true or false"),
        ("[[endpoint]]\npath = \"/x/{id/stream\"", "endpoint[1].path", "each a whole part"),
        ("[[endpoint]]\npath = \"/y/{a}/{a}\"", "endpoint[1].path", "{a} twice"),
        ("[[in]]\ntype = 1", "in[0].type", "a list of texts"),
        ("[[in]]\ntype = \"x\"\nfields = { a = \"text 64..1\" }", "in[0].fields.a", "must be one of"),
        (
            "[[in]]\ntype = \"x\"\ndo = [{ type = \"presense\", room = \"a\" }]",
            "in[0].do[0]",
            "did you mean `presence`",
        ),
        ("[[in]]\ntype = \"x\"\ndo = [{ type = \"publish\", data = {} }]", "in[0].do[0]", "needs `event`"),
        (
            "[[in]]\ntype = \"x\"\ndo = [{ each = \"=y\", give = { type = \"leaf\", room = \"a\" } }]",
            "in[0].do[0]",
            "did you mean `leave`",
        ),
        ("[setting]\na = 1", "setting.a", "must be a table"),
    ] {
        let text = format!("name = \"x\"\n{endpoint}{text}\n");
        let problem = Profile::parse(&text, &BTreeMap::new(), &|_| None).unwrap_err();
        assert_eq!(problem.place, place, "{problem}");
        assert!(problem.message.contains(word), "{problem}");
    }
}

#[test]
fn one_path_twice_in_one_table_is_told_of_that_table() {
    let text = "name = \"one\"\n[[endpoint]]\npath = \"/a/{b}\"\n[[endpoint]]\npath = \"/a/{c}\"\n";
    let profile = Profile::parse(text, &BTreeMap::new(), &|_| None).unwrap();
    let problem = Profiles::new(vec![profile]).unwrap_err();
    assert!(problem.message.contains("the profile `one` has a WebSocket twice"), "{problem}");
}
