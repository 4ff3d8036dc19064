//! One profile, read and checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::doing;
use crate::endpoint::Endpoint;
use crate::expression::Expression;
use crate::http::Route;
use crate::problem::{self, Problem};
use crate::setting::{self, Setting};
use crate::table::{Cors, Limits, Table};
use crate::tables::{self, Tables, template};
use crate::template::Template;

/// A table with its settings put in.
#[derive(Debug)]
pub struct Profile {
    /// Its name.
    pub name: Box<str>,
    /// What it is for.
    pub about: String,
    /// Its settings, as they are now.
    pub settings: Vec<Setting>,
    /// What it wants the engine to be set to: an object as a configuration file would have it.
    pub engine: Map<String, Value>,
    /// Pages of these origins may connect to its endpoints, beside those that may connect everywhere.
    pub origins: Vec<String>,
    /// Which pages of other origins may read its answers.
    pub cors: Option<Cors>,
    /// Commands of services that it has done, and where.
    pub calls: Vec<(String, String)>,
    pub(crate) limits: Limits,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    pub(crate) routes: Vec<Arc<Route>>,
    pub(crate) tables: Arc<Tables>,
    tokens: Vec<Token>,
}

/// One `[[token]]`.
#[derive(Debug)]
struct Token {
    when: Expression,
    rooms: Template,
}

impl Profile {
    /// Reads a table. `given` are settings of the configuration, `env` asks for variables.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(
        text: &str,
        given: &BTreeMap<String, Value>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Problem> {
        let table: toml::Table = toml::from_str(text).map_err(|error| Problem::new("", error.to_string()))?;
        let mut whole = serde_json::to_value(table).map_err(|error| Problem::new("", error.to_string()))?;
        let members = whole.as_object_mut().expect("invariant: a table is an object");
        let declared = members.remove("setting").unwrap_or_else(|| Map::new().into());
        let declared: BTreeMap<String, setting::Declared> =
            serde_path_to_error::deserialize(declared).map_err(|error| problem("setting.", &error))?;
        let settings = setting::values(declared, given, env)?;
        let mut others = BTreeMap::new();
        setting::put(&mut whole, &settings, "", &mut others)?;
        let engine = whole.as_object_mut().and_then(|members| members.remove("engine"));
        let table: Table = serde_path_to_error::deserialize(whole).map_err(|error| {
            let problem = problem("", &error);
            others
                .get(&problem.place)
                .map_or(problem, |name| Problem::no_setting(&error.path().to_string(), name))
        })?;
        let tables = Tables::new(&table, &settings)?;
        let endpoint = |(number, of): (usize, &crate::table::Endpoint)| {
            let place = if of.name.is_empty() { number.to_string() } else { of.name.clone() };
            Ok(Arc::new(Endpoint::new(of, &format!("endpoint[{place}]"), &tables.settings)?))
        };
        let route = |(number, of)| Ok(Arc::new(Route::new(of, &format!("http[{number}]"))?));
        let token = |(number, of): (usize, &crate::table::Token)| {
            let when = tables::expression(Some(&of.when), &format!("token[{number}].when"))?;
            let rooms = template(&Value::Array(of.rooms.clone()), &format!("token[{number}].rooms"))?;
            Ok(Token { when: when.expect("invariant: it was given"), rooms })
        };
        let of_endpoints = (0..).zip(&table.endpoint).map(|(number, of)| (&of.commands, "endpoint", number));
        let of_hears = (0..).zip(&table.hears).map(|(number, of)| (&of.commands, "in", number));
        let of_routes = (0..).zip(&table.http).map(|(number, of)| (&of.commands, "http", number));
        let mut calls = Vec::new();
        for (commands, place, number) in of_endpoints.chain(of_hears).chain(of_routes) {
            calls.extend(doing::check(commands, &format!("{place}[{number}]"))?);
        }
        Ok(Self {
            calls,
            engine: engine_of(engine.unwrap_or_default(), &tables)?,
            endpoints: table.endpoint.iter().enumerate().map(endpoint).collect::<Result<_, Problem>>()?,
            routes: table.http.iter().enumerate().map(route).collect::<Result<_, Problem>>()?,
            tokens: table.token.iter().enumerate().map(token).collect::<Result<_, Problem>>()?,
            name: name(&table.name)?,
            about: table.about,
            origins: table.origins,
            settings,
            cors: table.cors,
            limits: table.limits,
            tables: Arc::new(tables),
        })
    }

    /// What expressions see of an upgrade or a request: what it gave, and the settings.
    pub fn names(&self, mut given: Map<String, Value>) -> Map<String, Value> {
        given.insert("setting".to_owned(), self.tables.settings.clone());
        given
    }

    /// How many connections it takes at a time; 0: as many as the engine.
    pub fn connections_max(&self) -> usize {
        self.limits.connections
    }

    /// The room patterns of a token that names none, where the profile has a rule for it.
    pub(crate) fn rooms_of_token(&self, claims: &Value) -> Option<Vec<String>> {
        let scope = self.tables.scope(&Map::from_iter([("claims".to_owned(), claims.clone())]));
        let rule = self.tokens.iter().find(|rule| rule.when.holds(&scope))?;
        let Some(Value::Array(rooms)) = rule.rooms.give(&scope) else { return Some(Vec::new()) };
        // A claim must not become a pattern.
        let is_plain = |room: &Value| room.as_str().filter(|room| !room.contains('*')).map(str::to_owned);
        Some(rooms.iter().filter_map(is_plain).collect())
    }

    /// Whether tokens may get their rooms from it.
    pub(crate) fn has_token_rules(&self) -> bool {
        !self.tokens.is_empty()
    }
}

/// `[engine]`, with its expressions over settings.
fn engine_of(engine: Value, tables: &Tables) -> Result<Map<String, Value>, Problem> {
    if engine.is_null() {
        return Ok(Map::new());
    }
    match template(&engine, "engine")?.give(&tables.ground()) {
        Some(Value::Object(members)) => Ok(members),
        _ => Err(Problem::new("engine", "must be a table")),
    }
}

fn name(name: &str) -> Result<Box<str>, Problem> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=32).contains(&name.len()) && name.bytes().all(is_plain) && name != "all" {
        return Ok(name.into());
    }
    Err(Problem::new("name", "must be 1 to 32 of A-Z a-z 0-9 - _, and not `all`"))
}

fn problem(before: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let place = format!("{before}{}", error.path());
    Problem::new(place.trim_end_matches('.'), problem::in_words(&error.inner().to_string()))
}
