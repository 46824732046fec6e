//! Sites of plugins: files below `/_plugin/NAME/`.
//!
//! The site of a plugin is what stands in its folder `_site`, or in the folder itself if that has an `index.html` and the plugin
//! has no program. It is looked up with each request, so that a site is there as soon as its files are.
//!
//! - A path is walked folder by folder, each opened in the one before, and links are not followed: nothing outside of the
//!   site can be reached. Only the plugin's folder itself may be a link. `..` and names with a dot at their start are refused.
//! - Files are read as the client takes them, 64 KiB at a time. [`MAX_OPEN`] are open at a time; beyond it, 503.
//! - `ETag`, from the file's inode, size and time of change, with `If-None-Match`; `Last-Modified` with `If-Modified-Since`, if it has just
//!   the time that was told; one range of bytes, with `If-Range` by tag; several ranges are answered with the whole.
//! - A folder without a slash is redirected (302) to that with one, which gives its `index.html`.
//! - A program may [bring sites along](Sites::embed). The site of a folder goes before one of the same name.
//! - `X-Content-Type-Options: nosniff` goes with every file. A `Content-Security-Policy` goes with those of an embedded site that has
//!   one; a site on disk has none, for what a plugin's page loads and where it may be framed is the plugin's own affair. It may
//!   say it in a `<meta http-equiv>`.

mod embedded;

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use embedded::Embedded;

use super::{Call, Refusal, Reply, Streamed};
use crate::access::Right;
use crate::controller::Scope;
use crate::plugins;
use crate::proto::h1::{HttpDate, Method, Range, RequestHead, if_none_match, if_range, path_segments};
use crate::sys::beneath::Folder;
use embedded::Tagged;

/// So many files of sites are open at a time, in all connections together.
pub const MAX_OPEN: usize = 256;

/// The folder with the plugins, for the handlers of a server and for those who change it: cheap to clone.
///
/// [Give](super::HttpServer::provide) it to a server.
#[derive(Clone, Debug)]
pub struct Sites {
    state: Arc<Mutex<State>>,
    /// Each open file has one of these.
    open: Arc<()>,
}

#[derive(Debug)]
struct State {
    folder: Option<PathBuf>,
    embedded: BTreeMap<String, Arc<Tagged>>,
}

impl Sites {
    /// The sites in this folder; there are none without.
    #[must_use]
    pub fn new(folder: Option<PathBuf>) -> Self {
        let state = State { folder, embedded: BTreeMap::new() };
        Self { state: Arc::new(Mutex::new(state)), open: Arc::new(()) }
    }

    /// Serves those of another folder from now on.
    pub fn set_folder(&self, folder: Option<PathBuf>) {
        self.state().folder = folder;
    }

    /// Serves this one, too, at `/_plugin/NAME/`; one that was embedded under this name is replaced.
    ///
    /// A plugin of this name in the folder that has a site goes before it.
    pub fn embed(&self, name: impl Into<String>, site: Embedded) {
        let site = Arc::new(Tagged::new(site));
        self.state().embedded.insert(name.into(), site);
    }

    /// Serves the embedded site of this name no longer; whether there was one.
    pub fn withdraw(&self, name: &str) -> bool {
        self.state().embedded.remove(name).is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder of all, and the embedded site of this name.
    fn look_up(&self, name: &str) -> (Option<PathBuf>, Option<Arc<Tagged>>) {
        let state = self.state();
        (state.folder.clone(), state.embedded.get(name).cloned())
    }
}

/// A file that counts as open as long as it is.
struct Counted {
    file: File,
    _open: Arc<()>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

/// `GET /_plugin/*path`.
pub(super) fn serve(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let head = &call.request.head;
    let nothing = || Refusal::not_found(format!("there is nothing at {}", head.path()));
    let sites = call.provided.get::<Sites>().ok_or_else(nothing)?;
    // The router joins segments, and one of them may hold a slash.
    let segments = path_segments(head.path())?;
    let Some((name, path)) = segments.get(1..).and_then(<[_]>::split_first) else { return Err(nothing()) };
    for segment in &segments {
        if segment == ".." || segment == "." || segment.contains(['/', '\\']) {
            return Err(forbidden(head));
        }
        if segment.is_empty() || segment.starts_with('.') {
            return Err(nothing());
        }
    }
    let fail = |e: io::Error| refusal(&e, head);
    let (folder_of_all, embedded) = sites.look_up(name);
    // What was compiled in is no secret, and a page that asks for a key has to be seen without one.
    let may_see_files = || call.check(Right::Read, &Scope::Node);
    let on_disk = folder_of_all.map(|folder| plugins::site(&folder.join(&**name)));
    let mut folder = match (on_disk, embedded) {
        // What is there but cannot be read is not passed over in silence.
        (None, Some(site)) => return site.serve(path, head),
        (Some(Err(e)), Some(site)) if e.kind() == io::ErrorKind::NotFound => return site.serve(path, head),
        (None, None) => {
            may_see_files()?;
            return Err(nothing());
        }
        (Some(folder), _) => {
            may_see_files()?;
            folder.map_err(fail)?
        }
    };
    let has_slash = head.path().ends_with('/');
    let Some((last, between)) = path.split_last() else {
        return if has_slash { index(sites, &folder, head) } else { redirect(head) };
    };
    for segment in between {
        folder = folder.folder(segment).map_err(fail)?;
    }
    let file = folder.entry(last).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if metadata.is_dir() {
        return match folder.folder(last).map_err(fail)? {
            inner if has_slash => index(sites, &inner, head),
            _ => redirect(head),
        };
    }
    if has_slash { Err(nothing()) } else { send(sites, file, &metadata, last, head) }
}

fn index(sites: &Sites, folder: &Folder, head: &RequestHead) -> Result<Reply, Refusal> {
    let fail = |e: io::Error| refusal(&e, head);
    let file = folder.entry("index.html").map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    send(sites, file, &metadata, "index.html", head)
}

/// Relative links of a page are right only if the folder it stands for ends with a slash.
fn redirect(head: &RequestHead) -> Result<Reply, Refusal> {
    // The path starts with `/_plugin/`, so it cannot name another host.
    let query = head.query().map(|query| format!("?{query}")).unwrap_or_default();
    Ok(Reply::Streamed(Streamed::empty(302).header("Location", format!("{}/{query}", head.path()))))
}

fn forbidden(head: &RequestHead) -> Refusal {
    Refusal::new(403, "forbidden", format!("{} leads out of the site", head.path()))
}

fn refusal(error: &io::Error, head: &RequestHead) -> Refusal {
    match (error.kind(), error.raw_os_error()) {
        (_, Some(libc::ELOOP)) => Refusal::new(403, "forbidden", format!("{} is a link", head.path())),
        (_, Some(libc::EMFILE | libc::ENFILE)) => full(),
        (io::ErrorKind::PermissionDenied, _) => {
            Refusal::new(403, "forbidden", format!("{} may not be read", head.path()))
        }
        (io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput, _) => {
            Refusal::not_found(format!("there is nothing at {}", head.path()))
        }
        // A name that is too long, a socket.
        (_, Some(libc::ENAMETOOLONG | libc::ENXIO)) => {
            Refusal::not_found(format!("there is nothing at {}", head.path()))
        }
        _ => Refusal::new(500, "io_error", format!("{}: {error}", head.path())),
    }
}

fn full() -> Refusal {
    Refusal::new(503, "full", "too many files are open").header("Retry-After", "1")
}

fn send(sites: &Sites, file: File, metadata: &Metadata, name: &str, head: &RequestHead) -> Result<Reply, Refusal> {
    if !metadata.is_file() {
        return Err(Refusal::not_found(format!("{} is no file", head.path())));
    }
    let length = metadata.len();
    let entity = Entity {
        name,
        length,
        tag: format!("\"{:x}-{length:x}-{:x}.{:x}\"", metadata.ino(), metadata.mtime(), metadata.mtime_nsec()),
        modified: metadata.modified().ok().map(|time| HttpDate::new(time).to_string()),
        policy: None,
    };
    entity.answer(head, |start| {
        if Arc::strong_count(&sites.open) > MAX_OPEN {
            return Err(full());
        }
        let mut source = Counted { file, _open: Arc::clone(&sites.open) };
        if start > 0 {
            source.file.seek(SeekFrom::Start(start)).map_err(|e| refusal(&e, head))?;
        }
        Ok(source)
    })
}

/// What is known of a file before it is read.
struct Entity<'a> {
    name: &'a str,
    length: u64,
    tag: String,
    modified: Option<String>,
    policy: Option<&'static str>,
}

impl Entity<'_> {
    /// The answer to a request for it. `open` gives its bytes from this one on, if they are wanted.
    fn answer<R: Read + Send + 'static>(
        self,
        head: &RequestHead,
        open: impl FnOnce(u64) -> Result<R, Refusal>,
    ) -> Result<Reply, Refusal> {
        let Self { name, length, tag, modified, policy } = self;
        let describe = |mut streamed: Streamed| {
            streamed = streamed.header("ETag", tag.clone()).header("Cache-Control", "no-cache");
            if let Some(modified) = &modified {
                streamed = streamed.header("Last-Modified", modified.clone());
            }
            match policy {
                Some(policy) => streamed.header("Content-Security-Policy", policy),
                None => streamed,
            }
        };
        let fields = head.headers();
        let fresh = if fields.get("if-none-match").is_some() {
            !if_none_match(fields.all("if-none-match"), Some(&tag))
        } else {
            modified.is_some() && fields.text("if-modified-since") == modified.as_deref()
        };
        if fresh {
            return Ok(Reply::Streamed(describe(Streamed::empty(304))));
        }
        let range = match fields.get("range") {
            // RFC 9110 section 14.2: of a GET alone, and never of several fields.
            Some(range) if head.method() == Method::Get && fields.all("range").count() == 1 => {
                if if_range(fields.get("if-range"), &tag) { Range::parse(range, length) } else { Range::Whole }
            }
            _ => Range::Whole,
        };
        let (status, start, length_sent) = match range {
            Range::Whole => (200, 0, length),
            Range::Part { start, last } => (206, start, last - start + 1),
            Range::Unsatisfiable => {
                let reason = format!("{} has {length} bytes", head.path());
                let refusal = Refusal::new(416, "range_not_satisfiable", reason);
                return Err(refusal.header("Content-Range", format!("bytes */{length}")));
            }
        };
        let mut streamed = describe(Streamed::new(status, length_sent, open(start)?))
            .header("Content-Type", media_type(name))
            .header("X-Content-Type-Options", "nosniff")
            .header("Accept-Ranges", "bytes");
        if let Some(content_range) = range.content_range(length) {
            streamed = streamed.header("Content-Range", content_range);
        }
        Ok(Reply::Streamed(streamed))
    }
}

/// By the end of the name; what is unknown is bytes. RFC 9239 for scripts, the IANA registry for the others.
fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    match extension.as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "xml" => "application/xml",
        "xhtml" => "application/xhtml+xml",
        "txt" | "log" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/vnd.microsoft.icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "mp3" => "audio/mpeg",
        "ogg" | "oga" => "audio/ogg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "tar" => "application/x-tar",
        _ => "application/octet-stream",
    }
}
