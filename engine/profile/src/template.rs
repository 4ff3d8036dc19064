//! Values of a table that follow from what is said.

use serde_json::{Map, Value};

use crate::expression::{Expression, Scope};

/// A value that is what is written, but for the expressions in it.
#[derive(Debug)]
pub(crate) enum Template {
    Constant(Value),
    Expression(Expression),
    Object(Vec<(String, Self)>),
    List(Vec<Self>),
    Each(Box<Each>),
    /// Nothing where the expression does not hold.
    When(Expression, Box<Self>),
}

/// One value for each item of a list.
#[derive(Debug)]
pub(crate) struct Each {
    each: Template,
    /// Where it is there, an object is made.
    key: Option<Template>,
    give: Template,
}

/// Items of one list that are looked at.
const ITEMS_MAX: usize = 10_000;

impl Template {
    /// Compiles a value of the table.
    ///
    /// # Errors
    /// An expression that is none.
    pub(crate) fn parse(value: &Value) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => match text.strip_prefix('=') {
                Some(text) => Self::Expression(Expression::parse(text)?),
                None => Self::Constant(value.clone()),
            },
            Value::Object(members) => match (members.get("each"), members.get("give"), members.get("when")) {
                (_, _, Some(Value::String(when))) if when.starts_with('=') => {
                    let mut members = members.clone();
                    members.remove("when");
                    let when = Expression::parse(&when[1..])?;
                    Self::When(when, Box::new(Self::parse(&Value::Object(members))?))
                }
                (Some(each), Some(give), _)
                    if members.len() == 2 + usize::from(members.contains_key("key")) =>
                {
                    let key = members.get("key").map(Self::parse).transpose()?;
                    Self::Each(Box::new(Each { each: Self::parse(each)?, key, give: Self::parse(give)? }))
                }
                _ => {
                    let parse = |(name, value): (&String, &Value)| Ok((name.clone(), Self::parse(value)?));
                    let members: Vec<(String, Self)> =
                        members.iter().map(parse).collect::<Result<_, String>>()?;
                    let constant = members.iter().all(|(_, member)| matches!(member, Self::Constant(_)));
                    if constant { Self::Constant(value.clone()) } else { Self::Object(members) }
                }
            },
            Value::Array(items) => Self::List(items.iter().map(Self::parse).collect::<Result<_, String>>()?),
            other => Self::Constant(other.clone()),
        })
    }

    /// What it gives, if anything.
    pub(crate) fn give(&self, scope: &Scope) -> Option<Value> {
        match self {
            Self::Constant(value) => Some(value.clone()),
            Self::Expression(expression) => expression.eval(scope),
            Self::Object(members) => {
                let member = |(name, of): &(String, Self)| Some((name.clone(), of.give(scope)?));
                Some(Value::Object(members.iter().filter_map(member).collect()))
            }
            Self::List(items) => {
                let mut list = Vec::new();
                for item in items {
                    match (item, item.give(scope)) {
                        (Self::Each(_), Some(Value::Array(items))) => list.extend(items),
                        (_, given) => list.extend(given),
                    }
                }
                Some(Value::Array(list))
            }
            Self::When(when, of) => when.holds(scope).then(|| of.give(scope)).flatten(),
            Self::Each(each) => {
                let list = items(each.each.give(scope)?);
                let scopes =
                    list.into_iter().enumerate().map(|(number, item)| scope.with(&names(number, item)));
                Some(match &each.key {
                    None => Value::Array(scopes.filter_map(|scope| each.give.give(&scope)).collect()),
                    Some(key) => {
                        let member = |scope| match key.give(&scope)? {
                            Value::String(name) => Some((name, each.give.give(&scope)?)),
                            other => Some((other.to_string(), each.give.give(&scope)?)),
                        };
                        Value::Object(scopes.filter_map(member).collect())
                    }
                })
            }
        }
    }

    /// The name that stands here alone, if it is one.
    pub(crate) fn name(&self) -> Option<&str> {
        if let Self::Expression(expression) = self { expression.name() } else { None }
    }
}

/// What an expression for `each` has given, as a list.
pub(crate) fn items(given: Value) -> Vec<Value> {
    match given {
        Value::Array(mut items) => {
            items.truncate(ITEMS_MAX);
            items
        }
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// What a template sees of an item.
pub(crate) fn names(number: usize, item: Value) -> Map<String, Value> {
    Map::from_iter([("item".to_owned(), item), ("loop".to_owned(), number.into())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn give(template: &Value, names: Value) -> Option<Value> {
        let Value::Object(names) = names else { panic!("names are an object") };
        Template::parse(template).unwrap().give(&Scope::new(&names))
    }

    #[test]
    fn what_gives_nothing_is_left_out() {
        let template = json!({"a": "=x", "b": "=y", "c": "plain", "d": {"e": "=y"}, "l": ["=x", "=y", 3]});
        assert_eq!(
            give(&template, json!({"x": 1})),
            Some(json!({"a": 1, "c": "plain", "d": {}, "l": [1, 3]}))
        );
        assert_eq!(give(&json!("=y"), json!({})), None);
    }

    #[test]
    fn what_does_not_hold_is_left_out() {
        let template = json!([{"when": "=x > 1", "a": 1}, {"when": "=y", "a": 2}, {"when": "never an expression", "a": 3}]);
        assert_eq!(
            give(&template, json!({"x": 2})),
            Some(json!([{"a": 1}, {"when": "never an expression", "a": 3}]))
        );
    }

    #[test]
    fn lists_come_from_lists() {
        let template = json!([{"each": "=xs", "give": {"n": "=item.v", "at": "=loop"}}, "end"]);
        let xs = json!({"xs": [{"v": 1}, {"v": 2}]});
        assert_eq!(give(&template, xs.clone()), Some(json!([{"n": 1, "at": 0}, {"n": 2, "at": 1}, "end"])));
        assert_eq!(give(&json!({"each": "=xs", "give": "=item.v if item.v > 1"}), xs), Some(json!([2])));
        assert_eq!(give(&json!({"each": "=nothing", "give": 1}), json!({})), None);
        let object = json!({"each": "=xs", "key": "='n' ~ item.v", "give": "=item.v"});
        assert_eq!(give(&object, json!({"xs": [{"v": 1}, {"v": 2}]})), Some(json!({"n1": 1, "n2": 2})));
    }
}
