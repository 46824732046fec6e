//! Sites that are part of the program.

use std::borrow::Cow;
use std::io::Cursor;
use std::sync::OnceLock;

use sha1_smol::Sha1;

use super::{Entity, redirect};
use crate::proto::h1::RequestHead;
use crate::server::{Refusal, Reply};

/// A site whose files were compiled in. [`Sites::embed`](super::Sites::embed) serves it.
///
/// Its files have an `ETag`, made of their content, and no `Last-Modified`; otherwise they are served as those on disk are.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Embedded {
    /// Paths below the site, such as `index.html` and `img/logo.svg`, and bytes.
    pub files: &'static [(&'static str, &'static [u8])],
    /// The `Content-Security-Policy` that goes with all of them. Default: none.
    pub policy: Option<&'static str>,
}

impl Embedded {
    /// A site of these files.
    #[must_use]
    pub const fn new(files: &'static [(&'static str, &'static [u8])]) -> Self {
        Self { files, policy: None }
    }

    /// The same with a policy. One with a line end in it would not be sent.
    #[must_use]
    pub const fn policy(mut self, policy: &'static str) -> Self {
        self.policy = Some(policy);
        self
    }
}

/// The same with the tags of its files, each made when it is asked for: what nobody looks at is not read.
#[derive(Debug)]
pub(super) struct Tagged {
    site: Embedded,
    tags: Box<[OnceLock<String>]>,
}

impl Tagged {
    pub(super) fn new(site: Embedded) -> Self {
        Self { site, tags: site.files.iter().map(|_| OnceLock::new()).collect() }
    }

    fn find(&self, path: &str) -> Option<usize> {
        self.site.files.iter().position(|(name, _)| *name == path)
    }

    /// The file at these segments below the site.
    pub(super) fn serve(&self, path: &[Cow<'_, str>], head: &RequestHead) -> Result<Reply, Refusal> {
        let has_slash = head.path().ends_with('/');
        let mut name = path.join("/");
        let as_folder = if name.is_empty() { "index.html".to_owned() } else { format!("{name}/index.html") };
        if has_slash {
            name = as_folder;
        } else if self.find(&as_folder).is_some() {
            return redirect(head);
        }
        let nothing = || Refusal::not_found(format!("there is nothing at {}", head.path()));
        let at = self.find(&name).ok_or_else(nothing)?;
        let bytes = self.site.files[at].1;
        let entity = Entity {
            name: &name,
            length: bytes.len() as u64,
            tag: self.tags[at].get_or_init(|| format!("\"{}\"", Sha1::from(bytes).digest())).clone(),
            modified: None,
            policy: self.site.policy,
        };
        entity.answer(head, |start| {
            let mut source = Cursor::new(bytes);
            source.set_position(start);
            Ok(source)
        })
    }
}
