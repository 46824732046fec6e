//! The description and the table of routes are about the same things.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Value, json};

use super::schema::template;
use super::{ROUTES, description};
use crate::server::Needs;

#[test]
fn every_route_is_described_and_nothing_else() {
    let table: Vec<_> = ROUTES.iter().map(|route| (route.method, route.pattern)).collect();
    let described: Vec<_> = description::operations().iter().map(|op| (op.method, op.pattern)).collect();
    assert_eq!(described, table, "the same lines in the same order");
    let unique: HashSet<_> = table.iter().collect();
    assert_eq!(unique.len(), table.len(), "a route is there twice");

    let document = description::describe(ROUTES);
    let paths = document["paths"].as_object().expect("paths");
    let operations: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().expect("methods").keys().map(move |m| (path.clone(), m.clone()))
        })
        .collect();
    let routes: BTreeSet<(String, String)> =
        ROUTES.iter().map(|route| (template(route.pattern), route.method.to_ascii_lowercase())).collect();
    assert_eq!(operations, routes);
}

#[test]
fn every_operation_is_complete() {
    let document = description::describe(ROUTES);
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = HashSet::new();
    for route in ROUTES {
        let path = template(route.pattern);
        let operation = &document["paths"][&path][route.method.to_ascii_lowercase()];
        assert_eq!(operation["summary"], route.doc, "{route:?}");
        assert!(!route.doc.is_empty() && !route.doc.ends_with('.'), "{route:?}");
        assert!(ids.insert(operation["operationId"].to_string()), "{route:?}: its id is there twice");
        let parameters = operation["parameters"].as_array().expect("parameters");
        let resumes = parameters.iter().any(|p| p["in"] == "header" && p["name"] == "Last-Event-ID");
        assert_eq!(resumes, path == "/logs" || path.starts_with("/watch"), "{route:?}");
        let in_path: Vec<&str> =
            parameters.iter().filter(|p| p["in"] == "path").filter_map(|p| p["name"].as_str()).collect();
        let variables: Vec<&str> =
            route.pattern.split('/').filter_map(|segment| segment.strip_prefix([':', '*'])).collect();
        assert_eq!(in_path, variables, "{route:?}");
        assert!(parameters.iter().all(|p| p["schema"].is_object() && p["description"].is_string()), "{route:?}");
        let responses = operation["responses"].as_object().expect("responses");
        assert!(responses.len() >= 2 && responses.contains_key("default"), "{route:?}");
        let security = operation["security"].as_array().unwrap_or_else(|| panic!("{route:?} has no `security`"));
        let schemes: Vec<(&str, &Value)> =
            security.iter().flat_map(|one| one.as_object().expect("schemes")).map(|(n, v)| (n.as_str(), v)).collect();
        let known = document["components"]["securitySchemes"].as_object().expect("schemes");
        assert!(schemes.iter().all(|(name, _)| known.contains_key(*name)), "{route:?}: {security:?}");
        let by_key = |roles: Value| vec![("apiKey", roles.clone()), ("bearer", roles)];
        let said: Vec<(&str, Value)> = schemes.iter().map(|(name, roles)| (*name, (*roles).clone())).collect();
        let wanted = match route.needs {
            Needs::Nothing if route.pattern == "/auth" => vec![("password", json!([]))],
            Needs::Nothing => vec![],
            Needs::Key | Needs::Handler => by_key(json!([])),
            Needs::Node(right)
            | Needs::Session(right)
            | Needs::Job(right)
            | Needs::Process(right)
            | Needs::Named(right)
            | Needs::Definition(right) => by_key(json!([right.to_string()])),
        };
        assert_eq!(said, wanted, "{route:?}");
        // Only what asks later may do without.
        assert_eq!(security.contains(&json!({})), route.needs == Needs::Handler, "{route:?}");
        let has_body = operation["requestBody"].is_object();
        assert!(!has_body || route.method == "POST" || route.method == "PUT", "{route:?}");
    }
}

#[test]
fn references_lead_somewhere_and_no_schema_is_left_over() {
    let document = description::describe(ROUTES);
    let mut used = HashSet::new();
    walk(&document, &mut |reference| {
        let target = document.pointer(reference.strip_prefix('#').expect("local"));
        assert!(target.is_some(), "{reference} leads nowhere");
        used.insert(reference.rsplit('/').next().expect("a name").to_owned());
    });
    let all: HashSet<String> =
        document["components"]["schemas"].as_object().expect("schemas").keys().cloned().collect();
    assert_eq!(used, all);
}

fn walk(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                found(reference);
            }
            members.values().for_each(|member| walk(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
        _ => {}
    }
}
