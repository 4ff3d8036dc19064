//! The five applications' own clients, as their descriptions have them, against the real binary: `tests/acceptance`, by pytest.

use std::path::PathBuf;
use std::process::Command;

use crate::conformance::{setup, succeeds, target};

/// Plays one application. What ran and how it went is in `target/acceptance`.
fn play(profile: &str) {
    let (code, told) = setup();
    assert!([0, 3].contains(&code), "{told}");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/acceptance");
    let is_its = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with(&format!("test_{profile}")) && name.ends_with(".py")
    };
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(is_its);
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    assert!(!files.is_empty(), "nothing plays {profile}");
    let results = target().join("acceptance");
    std::fs::create_dir_all(&results).unwrap();
    let mut pytest = Command::new(target().join("venv/bin/python"));
    pytest
        .args(["-B", "-m", "pytest", "--junitxml"])
        .arg(results.join(format!("{profile}.xml")))
        .args(&files);
    succeeds(pytest.current_dir(&folder).env("FANFARE_BINARY", env!("CARGO_BIN_EXE_fanfare")));
}

#[test]
fn a_data_pipelines_dashboard() {
    play("pipeline");
}

#[test]
fn live_sessions() {
    play("sessions");
}

#[test]
fn a_surgery_schedule() {
    play("surgery");
}

#[test]
fn document_processing() {
    play("documents");
}

#[test]
fn a_health_assistant() {
    play("health");
}
