//! The web console: a page that shows and controls what the node runs, made of nothing but the API.
//!
//! gafferd [embeds](super::site::Sites::embed) it at `/_plugin/console/`; so may whoever has a server of their own:
//!
//! ```
//! use gaffer::server::console_site::{self, CONSOLE};
//! use gaffer::server::site::Sites;
//!
//! let sites = Sites::new(None);
//! sites.embed(console_site::NAME, CONSOLE);
//! ```
//!
//! It is plain HTML, CSS and JavaScript modules; there is no build step. To work on it, link this folder into a folder of plugins as
//! `console`, which goes before what is embedded, and reload the page.
//!
//! What programs write, what they are called and what errors say is only ever shown as text: the [`POLICY`] lets the page load
//! nothing but its own files, and forbids whatever would make HTML of a string.

use super::site::Embedded;

/// Where it is: `/_plugin/console/`.
pub const NAME: &str = "console";

/// The `Content-Security-Policy` of the page.
///
/// Beyond its own files there are images from `data:`. No page may have it in a frame, so that nobody is led to click on it unseen.
/// `require-trusted-types-for` makes browsers that know it refuse strings where HTML is expected (W3C Trusted Types).
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
    base-uri 'none'; frame-ancestors 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

macro_rules! files {
    ($($name:literal)*) => { &[$(($name, include_bytes!($name))),*] };
}

/// Its files.
pub const CONSOLE: Embedded = Embedded::new(files! {
    "index.html"
    "console.css"
    "console.js"
    "actions.js"
    "ansi.js"
    "api.js"
    "dom.js"
    "events.js"
    "format.js"
    "graph.js"
    "output.js"
    "store.js"
    "sync.js"
    "table.js"
    "theme.js"
    "who.js"
})
.policy(POLICY);
