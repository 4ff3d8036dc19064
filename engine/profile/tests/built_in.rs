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
