//! Which handler a request is for.

use std::borrow::Cow;
use std::fmt;

use super::call::{Call, Params, Refusal, Reply};
use crate::proto::h1::Method;
use crate::{Error, ErrorKind, Result};

/// A function that answers a request.
pub type Handler = fn(&mut Call<'_, '_>) -> Result<Reply, Refusal>;

/// A closure that answers a request.
pub(super) type BoxedHandler = Box<dyn FnMut(&mut Call<'_, '_>) -> Result<Reply, Refusal> + Send>;

/// One line of the table of routes.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Route {
    /// The method, as [`Method::as_str`] spells it. A `GET` answers `HEAD` too.
    pub method: &'static str,
    /// The path: literal segments, `:name` for one that is handed on, and at the end `*name` for a tail of any number.
    pub pattern: &'static str,
    /// Who answers.
    pub handler: Handler,
    /// What it does, in a few words.
    pub doc: &'static str,
    /// Bytes the content may have; the server's limit if `None`.
    pub body_limit: Option<usize>,
}

impl Route {
    /// A route of any method.
    #[must_use]
    pub const fn new(method: &'static str, pattern: &'static str, handler: Handler, doc: &'static str) -> Self {
        Self { method, pattern, handler, doc, body_limit: None }
    }

    /// The same with another bound of its content, in bytes.
    #[must_use]
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = Some(bytes);
        self
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.pattern)
    }
}

/// A `GET` route.
#[must_use]
pub const fn get(pattern: &'static str, handler: Handler, doc: &'static str) -> Route {
    Route::new("GET", pattern, handler, doc)
}

/// A `POST` route.
#[must_use]
pub const fn post(pattern: &'static str, handler: Handler, doc: &'static str) -> Route {
    Route::new("POST", pattern, handler, doc)
}

/// A `PUT` route.
#[must_use]
pub const fn put(pattern: &'static str, handler: Handler, doc: &'static str) -> Route {
    Route::new("PUT", pattern, handler, doc)
}

/// A `DELETE` route.
#[must_use]
pub const fn delete(pattern: &'static str, handler: Handler, doc: &'static str) -> Route {
    Route::new("DELETE", pattern, handler, doc)
}
