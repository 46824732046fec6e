//! Which handler a request is for.

use std::borrow::Cow;
use std::fmt;

use super::call::{Call, Refusal, Reply};
use super::guard::Needs;
use crate::access::Right;
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
    /// The path: literal segments, `:name` for one that is handed on (`:pid` only
    /// if it is of decimal digits), and at the end `*name` for a tail of any number.
    pub pattern: &'static str,
    /// Who answers.
    pub handler: Handler,
    /// What it does, in a few words.
    pub doc: &'static str,
    /// Bytes the content may have; the server's limit if `None`.
    pub body_limit: Option<usize>,
    /// What whoever asks must be allowed.
    pub needs: Needs,
}

impl Route {
    /// A route of any method, for those who may manage all of the node.
    #[must_use]
    pub const fn new(method: &'static str, pattern: &'static str, handler: Handler, doc: &'static str) -> Self {
        Self { method, pattern, handler, doc, body_limit: None, needs: Needs::Node(Right::Manage) }
    }

    /// The same with another bound of its content, in bytes.
    #[must_use]
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = Some(bytes);
        self
    }

    /// The same for others.
    #[must_use]
    pub const fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
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

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    Name(Box<str>),
    Tail(Box<str>),
}

impl Segment {
    /// Literal segments are tried first, tails last.
    const fn rank(&self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Name(_) => 1,
            Self::Tail(_) => 2,
        }
    }
}

struct Entry {
    method: Method,
    segments: Vec<Segment>,
    /// How many of them are no tail, and whether there is one: most routes are told apart by that.
    fixed: usize,
    tail: bool,
    handler: BoxedHandler,
    body_limit: Option<usize>,
    needs: Needs,
}

/// The table: routes in the order in which they are tried. Those that start with the same literal segment are looked up by it.
#[derive(Default)]
pub(super) struct Router {
    literal: Vec<(Box<str>, Vec<Entry>)>,
    /// Those that start with a variable segment, or have none.
    other: Vec<Entry>,
}

/// A route that fits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// Among the literal ones, or the others.
    group: Option<usize>,
    index: usize,
    pub(super) body_limit: Option<usize>,
    pub(super) needs: Needs,
}

impl Router {
    /// Adds a route; it takes the place of one of the same method and pattern.
    pub(super) fn add(
        &mut self,
        method: &str,
        pattern: &str,
        handler: BoxedHandler,
        body_limit: Option<usize>,
        needs: Needs,
    ) -> Result<()> {
        let invalid = |why: &str| Error::new(ErrorKind::Invalid, format!("route '{method} {pattern}': {why}"));
        let method = Method::from_name(method).ok_or_else(|| invalid("unknown method"))?;
        if matches!(method, Method::Head | Method::Options) {
            return Err(invalid("HEAD and OPTIONS are answered by the server"));
        }
        let path = pattern.strip_prefix('/').ok_or_else(|| invalid("it must start with a slash"))?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut segments = Vec::new();
        for segment in path.split('/').filter(|_| !path.is_empty()) {
            if matches!(segments.last(), Some(Segment::Tail(_))) {
                return Err(invalid("nothing can follow a tail"));
            }
            segments.push(match (segment.strip_prefix(':'), segment.strip_prefix('*')) {
                (Some(""), _) | (_, Some("")) => return Err(invalid("a variable segment needs a name")),
                (Some(name), _) => Segment::Name(name.into()),
                (_, Some(name)) => Segment::Tail(name.into()),
                _ => Segment::Literal(segment.into()),
            });
        }
        let tail = matches!(segments.last(), Some(Segment::Tail(_)));
        let fixed = segments.len() - usize::from(tail);
        let entry = Entry { method, segments, fixed, tail, handler, body_limit, needs };
        let group = match entry.segments.first() {
            Some(Segment::Literal(first)) => {
                let at = self.literal.iter().position(|(literal, _)| literal == first).unwrap_or(self.literal.len());
                if at == self.literal.len() {
                    self.literal.push((first.clone(), Vec::new()));
                }
                &mut self.literal[at].1
            }
            _ => &mut self.other,
        };
        if let Some(old) = group.iter_mut().find(|e| e.method == method && e.segments == entry.segments) {
            *old = entry;
            return Ok(());
        }
        let at = group.partition_point(|other| other.ranks().le(entry.ranks()));
        group.insert(at, entry);
        Ok(())
    }

    /// The routes that may fit, in the order in which they are tried.
    fn groups(&self, path: &[Cow<'_, str>]) -> [(Option<usize>, &[Entry]); 2] {
        let by = |first: &Cow<'_, str>| self.literal.iter().position(|(literal, _)| **literal == **first);
        let group = path.first().and_then(by);
        [(group, group.map_or(&[], |group| &self.literal[group].1)), (None, &self.other)]
    }

    /// The methods of a path.
    fn methods(&self, path: &[Cow<'_, str>]) -> Vec<Method> {
        let entries = self.groups(path).into_iter().flat_map(|(_, entries)| entries);
        entries.filter(|e| e.matches(path)).map(|e| e.method).collect()
    }

    /// The route for this path, or 404, or 405 with the methods that would do.
    pub(super) fn find(&self, method: Method, path: &[Cow<'_, str>]) -> Result<Found, Refusal> {
        let wanted = if method == Method::Head { Method::Get } else { method };
        for (group, entries) in self.groups(path) {
            if let Some(index) = entries.iter().position(|e| e.method == wanted && e.matches(path)) {
                let Entry { body_limit, needs, .. } = entries[index];
                return Ok(Found { group, index, body_limit, needs });
            }
        }
        let allowed = self.methods(path);
        if allowed.is_empty() {
            return Err(Refusal::not_found(format!("there is nothing at /{}", path.join("/"))));
        }
        let allowed = list(&allowed);
        let reason = format!("{method} is not possible here; {allowed} are");
        Err(Refusal::new(405, "method_not_allowed", reason).header("Allow", allowed))
    }

    /// The methods of this path, for OPTIONS; `None` if there is no such path.
    pub(super) fn allowed(&self, path: &[Cow<'_, str>]) -> Option<String> {
        let methods = self.methods(path);
        (!methods.is_empty()).then(|| list(&methods))
    }

    /// What the variable segments of a route have matched.
    pub(super) fn params<'a>(&'a self, found: Found, path: &'a [Cow<'a, str>]) -> Params<'a> {
        let group = found.group.map_or(&self.other, |group| &self.literal[group].1);
        Params::new(&group[found.index].segments, path)
    }

    /// The handler of a route, and what the variable segments have matched.
    pub(super) fn open<'a>(&'a mut self, found: Found, path: &'a [Cow<'a, str>]) -> (&'a mut BoxedHandler, Params<'a>) {
        let group = match found.group {
            Some(group) => &mut self.literal[group].1,
            None => &mut self.other,
        };
        let Entry { handler, segments, .. } = &mut group[found.index];
        (handler, Params::new(segments, path))
    }
}

impl Entry {
    fn ranks(&self) -> impl Iterator<Item = u8> + '_ {
        self.segments.iter().map(Segment::rank)
    }

    fn matches(&self, path: &[Cow<'_, str>]) -> bool {
        (if self.tail { path.len() >= self.fixed } else { path.len() == self.fixed })
            && self.segments.iter().zip(path).all(|(segment, part)| match segment {
                Segment::Literal(text) => **text == **part,
                Segment::Name(name) if **name == *"pid" => is_number(part),
                Segment::Name(_) => !part.is_empty(),
                Segment::Tail(_) => true,
            })
    }
}

/// What the variable segments of a pattern have matched, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    segments: &'a [Segment],
    path: &'a [Cow<'a, str>],
    /// What the tail has matched, if there is one.
    tail: String,
}

impl<'a> Params<'a> {
    fn new(segments: &'a [Segment], path: &'a [Cow<'a, str>]) -> Self {
        let tail = match segments.last() {
            Some(Segment::Tail(_)) => path[segments.len() - 1..].join("/"),
            _ => String::new(),
        };
        Self { segments, path, tail }
    }

    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.segments.iter().enumerate().filter_map(|(at, segment)| match segment {
            Segment::Literal(_) => None,
            Segment::Name(name) => Some((&**name, &*self.path[at])),
            Segment::Tail(name) => Some((&**name, &*self.tail)),
        })
    }
}

/// Whether it can be a `:pid`.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// As `Allow` has them: `GET` answers `HEAD`, and the server `OPTIONS`.
fn list(methods: &[Method]) -> String {
    let mut names: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
    if methods.contains(&Method::Get) {
        names.push("HEAD");
    }
    names.push("OPTIONS");
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.literal.iter().flat_map(|(_, entries)| entries).chain(&self.other);
        f.debug_list().entries(entries.map(|e| (e.method, &e.segments))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::h1;

    fn router(routes: &[(&str, &str)]) -> Router {
        let mut router = Router::default();
        for &(method, pattern) in routes {
            let name = pattern.to_owned();
            let handler =
                Box::new(move |call: &mut Call<'_, '_>| Ok(Reply::Text(200, format!("{name} {:?}", call.params))));
            router.add(method, pattern, handler, None, Needs::Nothing).expect(pattern);
        }
        router
    }

    fn find(router: &Router, method: Method, path: &str) -> String {
        let path = h1::path_segments(path).expect("valid");
        match router.find(method, &path) {
            Ok(found) => {
                let params = router.params(found, &path);
                let segments = params.segments.len();
                format!("{segments} {}", params.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(","))
            }
            Err(e) => format!("{} {}", e.status, e.headers.first().map_or("", |(_, v)| v)),
        }
    }

    #[test]
    fn the_most_literal_route_of_the_method_wins() {
        let router = router(&[
            ("GET", "/:pid"),
            ("GET", "/ping"),
            ("GET", "/jobs/:session/:name"),
            ("POST", "/jobs/:session/reload"),
            ("GET", "/watch/*pattern"),
            ("GET", "/"),
        ]);
        for (method, path, want) in [
            (Method::Get, "/", "0 "),
            (Method::Get, "/ping", "1 "),
            (Method::Head, "/ping/", "1 "),
            (Method::Get, "/7", "1 pid=7"),
            (Method::Get, "/1^2", "404 "),
            (Method::Post, "/nope", "404 "),
            (Method::Get, "/jobs/a%2Fb/c", "3 session=a/b,name=c"),
            (Method::Get, "/jobs/a/reload", "3 session=a,name=reload"),
            (Method::Post, "/jobs/a/reload", "3 session=a"),
            (Method::Put, "/jobs/a/reload", "405 GET, HEAD, OPTIONS, POST"),
            (Method::Delete, "/jobs/a/x", "405 GET, HEAD, OPTIONS"),
            (Method::Get, "/watch", "2 pattern="),
            (Method::Get, "/watch/proc/web", "2 pattern=proc/web"),
            (Method::Get, "/jobs/a", "404 "),
            (Method::Get, "//x", "404 "),
        ] {
            assert_eq!(find(&router, method, path), want, "{method} {path}");
        }
    }

    #[test]
    fn bad_patterns_are_refused() {
        for (method, pattern) in
            [("GET", "x"), ("GET", "/:"), ("GET", "/*a/b"), ("HEAD", "/a"), ("OPTIONS", "/a"), ("BREW", "/pot")]
        {
            let error =
                Router::default().add(method, pattern, Box::new(|_| Ok(Reply::Empty(204))), None, Needs::Nothing);
            assert_eq!(error.map_err(|e| e.kind()), Err(ErrorKind::Invalid), "{method} {pattern}");
        }
    }
}
