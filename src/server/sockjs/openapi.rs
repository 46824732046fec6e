//! The lines of `/openapi.json` for services: one for each prefix.

use serde_json::{Value, json};

use super::Services;
use crate::server::api::handlers_security;

impl Services {
    /// Adds the services to a description.
    pub(in crate::server) fn describe(&self, document: &mut Value) {
        for service in &self.services {
            let prefix = &service.prefix;
            let operation = |method: &str, doc: &str| {
                json!({
                    "operationId": format!("{method}{}_path", prefix.replace(['/', '-', '.'], "_")),
                    "tags": [prefix.trim_start_matches('/')],
                    "summary": doc,
                    "security": handlers_security(),
                    "description": "SockJS 0.3.3: info, iframe*.html, websocket (plain), SERVER/SESSION/TRANSPORT",
                    "parameters": [{
                        "name": "path", "in": "path", "required": true,
                        "description": "What follows the prefix, of several segments", "schema": {"type": "string"},
                    }],
                    "responses": {
                        "200": {"description": "OK"},
                        "default": {
                            "description": "Any error",
                            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                        },
                    },
                })
            };
            document["paths"][format!("{prefix}/{{path}}")] = json!({
                "get": operation("get", "Whatever of SockJS is read, and its websockets"),
                "post": operation("post", "Polls and messages of SockJS"),
            });
        }
    }
}
