//! The parts that the hot path is made of, one by one: timed by `cargo bench`, counted in instructions by
//! `fanfare-instructions`.

mod auth;
mod core;
mod mesh;
mod profile;
mod wire;

/// One part, ready to run again and again.
pub struct Part {
    /// Group and name: `json/decode_149_b`.
    pub name: &'static str,
    /// Bytes that one run works on, where that says something.
    pub bytes: Option<usize>,
    /// Runs it once.
    pub run: Box<dyn FnMut()>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Part {
    fn new(name: &'static str, bytes: Option<usize>, run: impl FnMut() + 'static) -> Self {
        Self { name, bytes, run: Box::new(run) }
    }
}

/// How to make a part: only the one that is run should be.
pub type Make = fn() -> Part;

/// All parts, not yet made. New ones go to the end: a heap that others have used costs a large part other instructions.
pub fn all() -> Vec<Make> {
    [wire::PARTS, core::PARTS, mesh::PARTS, auth::PARTS, profile::PARTS].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_its_own_name_and_runs_twice() {
        let mut names: Vec<&str> = Vec::new();
        for make in all() {
            let mut part = make();
            (part.run)();
            (part.run)();
            assert!(part.name.contains('/') && !names.contains(&part.name), "{}", part.name);
            names.push(part.name);
        }
        assert!(names.len() >= 22);
    }
}
