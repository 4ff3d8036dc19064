//! Other systems' clients: profiles of any kind here, the applications that are built in through their own clients in
//! `tests/acceptance`.

mod acceptance;
mod door;
mod said;
mod table;
mod together;

use crate::support::{Folder, Options, Server};

/// A server with a profile of its own, from a file.
fn with_table(table: &str, options: Options) -> (Server, Folder) {
    let folder = Folder::new();
    let path = folder.0.join("taxi.toml");
    std::fs::write(&path, table).unwrap();
    let mut options = options;
    options.env.push(("FANFARE_PROFILES", path.display().to_string()));
    (Server::start(options), folder)
}
