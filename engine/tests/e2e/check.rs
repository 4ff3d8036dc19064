//! `fanfare check`: what it lets pass, a server can be started with.

use std::process::Command;

use crate::support::Folder;

/// What it says of a configuration, with this in the environment.
fn check(config: &str, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = Folder::new();
    let path = folder.0.join("fanfare.toml");
    std::fs::write(&path, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    command.arg("check").arg("--config").arg(&path).envs(environment.iter().copied());
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    for (section, setting) in [("store", "store.path"), ("audit", "audit.path")] {
        let (code, said) = check(&format!("[{section}]\npath = \"/nonexistent/fanfare.file\"\n"), &[]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(setting) && said.contains("/nonexistent"), "{said}");
        let (code, said) = check(&format!("[{section}]\npath = \"/tmp/fanfare.file\"\n"), &[]);
        assert_eq!(code, Some(0), "{said}");
    }
}

#[test]
fn a_misspelt_variable_is_named_and_what_is_not_ours_is_left_alone() {
    let (code, said) = check("", &[("FANFARE_LIMITS_CONECTIONS", "5"), ("FANFARE_PORT", "tcp://10.0.0.1")]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("FANFARE_LIMITS_CONECTIONS: unknown setting, did you mean"), "{said}");
    assert!(!said.contains("FANFARE_PORT"), "{said}");
    let (code, said) = check("", &[("FANFARE_LIMITS_CONNECTIONS", "5"), ("FANFARE_PORT", "tcp://10.0.0.1")]);
    assert_eq!(code, Some(0), "{said}");
}
