//! The profiles that come with the engine.

/// Names and tables.
pub const BUILT_IN: [(&str, &str); 5] = [
    ("pipeline", include_str!("../profiles/pipeline.toml")),
    ("sessions", include_str!("../profiles/sessions.toml")),
    ("surgery", include_str!("../profiles/surgery.toml")),
    ("documents", include_str!("../profiles/documents.toml")),
    ("health", include_str!("../profiles/health.toml")),
];
