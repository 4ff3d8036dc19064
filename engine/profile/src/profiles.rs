//! All profiles of a server: what is at which path, and who speaks what.

use std::sync::Arc;

use fanfare_protocol::timestamp::rfc3339_text;
use fanfare_protocol::ws::OpCode;
use fanfare_protocol::{DIALECTS_MAX, Dialect as _, Dialects, Listener, Refusal, Request};
use serde_json::{Map, Value};

use crate::endpoint::{Denial, Place};
use crate::hearing::{self, Understood, Who};
use crate::http::{Route, Visit};
use crate::problem::Problem;
use crate::profile::Profile;
use crate::speech::Speech;

/// See the module's own text.
#[derive(Debug, Default)]
pub struct Profiles {
    profiles: Vec<Profile>,
    speeches: Vec<Arc<Speech>>,
    /// By profile and endpoint, the number of its first dialect.
    first: Vec<Vec<usize>>,
    has_token_rules: bool,
}

impl Profiles {
    /// Puts profiles side by side.
    ///
    /// # Errors
    /// Two of them want the same path, or there are too many endpoints.
    pub fn new(profiles: Vec<Profile>) -> Result<Self, Problem> {
        let mut all =
            Self { has_token_rules: profiles.iter().any(Profile::has_token_rules), ..Self::default() };
        for (family, profile) in (0..).zip(&profiles) {
            if let Some(other) =
                profiles[..usize::from(family)].iter().find(|other| other.name == profile.name)
            {
                return Err(Problem::new("", format!("the profile `{}` is there twice", other.name)));
            }
            let mut firsts = Vec::new();
            for endpoint in &profile.endpoints {
                firsts.push(all.speeches.len());
                for packing in &endpoint.packings {
                    for (_, receive) in &endpoint.receive {
                        all.speeches.push(Arc::new(Speech {
                            tables: Arc::clone(&profile.tables),
                            endpoint: Arc::clone(endpoint),
                            receive: receive.clone(),
                            packing: *packing,
                            connections_per_user: profile.limits.connections_per_user,
                            family,
                        }));
                    }
                }
            }
            all.first.push(firsts);
        }
        if all.speeches.len() > DIALECTS_MAX {
            return Err(Problem::new(
                "",
                format!("there are more than {DIALECTS_MAX} endpoints with all their forms"),
            ));
        }
        all.profiles = profiles;
        all.check_paths()?;
        Ok(all)
    }

    fn check_paths(&self) -> Result<(), Problem> {
        let endpoints = self
            .profiles
            .iter()
            .flat_map(|profile| profile.endpoints.iter().map(move |of| (profile, &of.path)));
        let endpoints: Vec<_> = endpoints.collect();
        for (number, (profile, path)) in endpoints.iter().enumerate() {
            if let Some((other, at)) = endpoints[..number].iter().find(|(_, other)| other.clashes(path)) {
                return Err(clash("a WebSocket", &other.name, at, &profile.name, path));
            }
        }
        for (number, profile) in self.profiles.iter().enumerate() {
            for route in &profile.routes {
                let others = self.profiles[..number]
                    .iter()
                    .flat_map(|other| other.routes.iter().map(move |of| (other, of)));
                let same = others
                    .filter(|(_, of)| of.method == route.method)
                    .find(|(_, of)| of.path.clashes(&route.path));
                if let Some((other, of)) = same {
                    return Err(clash(&route.method, &other.name, &of.path, &profile.name, &route.path));
                }
            }
        }
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.profiles.is_empty()
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.iter()
    }

    /// The one with a number.
    pub fn get(&self, number: usize) -> &Profile {
        &self.profiles[number]
    }

    /// The profile whose dialect has this number (from 1).
    pub fn of_dialect(&self, dialect: u8) -> Option<(usize, &Profile)> {
        let family = self.speeches.get(usize::from(dialect).checked_sub(1)?)?.family();
        Some((usize::from(family), &self.profiles[usize::from(family)]))
    }

    /// The number of the profile of this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.profiles.iter().position(|profile| *profile.name == *name)
    }

    /// What they all speak.
    pub fn dialects(&self) -> Dialects {
        self.speeches.iter().map(|speech| Arc::clone(speech) as Arc<dyn fanfare_protocol::Dialect>).collect()
    }

    /// The endpoint at a path in decoded parts.
    pub fn endpoint(&self, parts: &[&str]) -> Option<Place> {
        let all = self.profiles.iter().enumerate();
        let endpoints = all
            .flat_map(|(number, profile)| profile.endpoints.iter().enumerate().map(move |of| (number, of)));
        let fits = endpoints.filter_map(|(profile, (number, endpoint))| {
            let path = endpoint.path.fit(parts)?;
            Some(Place { endpoint: Arc::clone(endpoint), profile, path, number })
        });
        fits.min_by_key(|place| place.endpoint.path.rank())
    }

    /// The number of the dialect in which somebody at an endpoint wants to be spoken to.
    ///
    /// # Errors
    /// There is no such form.
    pub fn dialect(&self, place: &Place, query: &Value) -> Result<u8, Denial> {
        let (packing, receive) = place.endpoint.form(query)?;
        let number =
            self.first[place.profile][place.number] + packing * place.endpoint.receive.len() + receive + 1;
        Ok(u8::try_from(number).expect("invariant: there are fewer"))
    }

    /// The endpoint whose dialect has this number. Its path's parameters are not known.
    pub fn place_of(&self, dialect: u8) -> Place {
        let speech = &self.speeches[usize::from(dialect) - 1];
        let profile = usize::from(speech.family);
        let number = self.profiles[profile].endpoints.iter().position(|of| Arc::ptr_eq(of, &speech.endpoint));
        Place {
            endpoint: Arc::clone(&speech.endpoint),
            profile,
            path: Value::Null,
            number: number.expect("invariant: it is one of its profile's"),
        }
    }

    /// The number of an endpoint's first dialect, for who is refused.
    pub fn usual_dialect(&self, place: &Place) -> u8 {
        u8::try_from(self.first[place.profile][place.number] + 1).expect("invariant: there are fewer")
    }

    /// Reads a message of a client: what it asks the engine for, or why it is refused.
    pub fn hear(
        &self,
        dialect: u8,
        listener: &Listener<'_>,
        opcode: OpCode,
        payload: &[u8],
        bytes_max: usize,
        sink: &mut dyn FnMut(Result<Vec<Request>, Refusal>),
    ) {
        self.speeches[usize::from(dialect) - 1].hear(listener, opcode, payload, bytes_max, sink);
    }

    /// Bytes of the largest message from a client, by dialect, where that is not as the engine has it.
    pub fn message_sizes(&self) -> Vec<Option<usize>> {
        self.speeches.iter().map(|speech| speech.endpoint.message_size).collect()
    }

    /// What a backend's event means.
    ///
    /// # Errors
    /// It is refused.
    pub fn understand(&self, profile: usize, event: Value, now_unix_ms: u64) -> Result<Understood, Refusal> {
        let tables = &self.profiles[profile].tables;
        let names = Map::from_iter([("now".to_owned(), rfc3339_text(now_unix_ms).into())]);
        tables.understand(Who::Backend, event, names).unwrap_or_else(|| Err(hearing::unknown()))
    }

    /// An `error` of the engine about a command of an event, with fields as they were called in the event.
    pub fn tell_as_sent(&self, profile: usize, understood: &Understood, error: &mut Value) {
        self.profiles[profile].tables.tell_as_sent(understood, error);
    }

    /// What the backend is answered; `done` are the engine's answers.
    pub fn reply(&self, profile: usize, understood: Understood, done: &[Value]) -> Option<Value> {
        self.profiles[profile].tables.reply(understood, done)
    }

    /// Whether some profile answers at a path over HTTP, with whatever method.
    pub fn methods(&self, parts: &[&str]) -> Vec<&str> {
        let mut methods: Vec<&str> =
            self.routes(parts).into_iter().map(|(_, route)| &*route.method).collect();
        methods.sort_unstable();
        methods.dedup();
        methods
    }

    /// Whether a request is answered whoever asks. What of it a `when` asks for is not known yet, so that all of the routes count
    /// that may answer it.
    pub fn is_public(&self, method: &str, parts: &[&str]) -> bool {
        let method = if method == "HEAD" { "GET" } else { method };
        let mut routes = self.routes(parts).into_iter().filter(|(_, route)| *route.method == *method);
        let first = routes.by_ref().find(|(_, route)| !route.public || route.when.is_none());
        first.is_none_or(|(_, route)| route.public)
    }

    /// The number of the profile that answers at a path over HTTP.
    pub fn at(&self, parts: &[&str]) -> Option<usize> {
        self.routes(parts).first().map(|(profile, _)| *profile)
    }

    /// The routes that fit a path, with their profiles' numbers: those first that are asked first.
    fn routes(&self, parts: &[&str]) -> Vec<(usize, &Arc<Route>)> {
        let all = self.profiles.iter().enumerate();
        let all = all.flat_map(|(number, profile)| profile.routes.iter().map(move |route| (number, route)));
        let mut fits: Vec<_> = all.filter(|(_, route)| route.path.fit(parts).is_some()).collect();
        fits.sort_by_key(|(_, route)| route.path.rank());
        fits
    }

    /// The route for a request, if there is one. `request` has what expressions see of it, but for the path's parameters.
    pub fn visit(&self, method: &str, parts: &[&str], request: &Map<String, Value>) -> Option<Visit> {
        let method = if method == "HEAD" { "GET" } else { method };
        let mut routes = self.routes(parts).into_iter().filter(|(_, route)| *route.method == *method);
        routes.find_map(|(profile, route)| {
            let mut names = self.profiles[profile].names(request.clone());
            names.insert("path".to_owned(), route.path.fit(parts)?);
            let scope = crate::expression::Scope::new(&names);
            let holds = route.when.as_ref().is_none_or(|when| when.holds(&scope));
            holds.then(|| Visit::new(Arc::clone(route), profile, names))
        })
    }

    /// The room patterns of a token that names none, where a profile has a rule for it.
    pub fn rooms_of_token(&self, claims: impl FnOnce() -> Option<Value>) -> Option<Vec<String>> {
        if !self.has_token_rules {
            return None;
        }
        let claims = claims()?;
        self.profiles.iter().find_map(|profile| profile.rooms_of_token(&claims))
    }
}

fn clash(what: &str, one: &str, at: &crate::path::Path, other: &str, path: &crate::path::Path) -> Problem {
    let message = if one == other {
        format!("the profile `{one}` has {what} twice at {at} ({path})")
    } else {
        format!(
            "the profiles `{one}` and `{other}` both want {what} at {at} ({path}); start one of them only"
        )
    };
    Problem::new("", message)
}
