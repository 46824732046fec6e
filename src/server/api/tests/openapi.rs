//! The description and the table of routes are about the same things.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::schema::template;
use super::{ROUTES, description};

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
        let in_path: Vec<&str> =
            parameters.iter().filter(|p| p["in"] == "path").filter_map(|p| p["name"].as_str()).collect();
        let variables: Vec<&str> =
            route.pattern.split('/').filter_map(|segment| segment.strip_prefix([':', '*'])).collect();
        assert_eq!(in_path, variables, "{route:?}");
        assert!(parameters.iter().all(|p| p["schema"].is_object() && p["description"].is_string()), "{route:?}");
        let responses = operation["responses"].as_object().expect("responses");
        assert!(responses.len() >= 2 && responses.contains_key("default"), "{route:?}");
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
