//! The API of `gaffer start`, for other terminals.

use gaffer::ErrorKind;
use gaffer::cli::{self, Code, Failure};
use gaffer::client::attach_at;
use gaffer::config::{Address, Application};
use gaffer::history::{History, Limits, Recorder};
use gaffer::server::{Config, Endpoint, HttpServer, api};

use crate::start::{Attach, Start};

/// Events that are kept for a terminal that comes back: it was not far away.
const EVENTS: usize = 128;

/// The server, which listens already, and what remembers the programs' output for it.
///
/// Where nobody has asked for it and it cannot be, the programs matter more: that is a warning. But two of the same application are one too
/// many, since other terminals would reach only one.
pub(crate) fn open(start: &Start, application: &Application) -> Result<Option<(Recorder, HttpServer)>, Failure> {
    let address = match &start.attach {
        Attach::Nowhere => return Ok(None),
        Attach::At(address) => return serve(address.clone()).map(Some).map_err(asked_for),
        Attach::Folder => attach_at(&application.root, &application.session).map(Address::Unix),
    };
    match address.and_then(serve) {
        Ok(served) => Ok(Some(served)),
        Err(e) if e.kind() == ErrorKind::Conflict => {
            let advice = "another one beside it needs --no-attach-api, or an --attach-api of its own";
            Err(Failure::new(Code::Failed, format!("{e}; {advice}")))
        }
        Err(e) => {
            cli::complain("gaffer", format!("other terminals cannot reach this one: {e}"));
            Ok(None)
        }
    }
}

fn asked_for(error: gaffer::Error) -> Failure {
    Failure::new(Code::Failed, format!("--attach-api: {error}"))
}

fn serve(address: Address) -> gaffer::Result<(Recorder, HttpServer)> {
    let history = History::new(Limits::default());
    let config = Config::default().history(EVENTS).endpoint(Endpoint::from(address));
    let mut server = HttpServer::bind(config)?;
    server.routes(api::ROUTES)?;
    server.provide(history.clone());
    Ok((history.recorder(), server))
}
