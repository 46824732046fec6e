//! What has gone wrong between two that do not trust each other, in words.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// What a client has done wrong, for the log of a server: a sentence without its subject.
#[cfg(feature = "server")]
pub(crate) fn explain_client(error: &io::Error) -> String {
    let Some(error) = error.get_ref().and_then(|e| e.downcast_ref::<Error>()) else {
        return "it breaks the rules of TLS".to_owned();
    };
    match error {
        Error::InvalidCertificate(why) => format!("its certificate is refused: {}", certificate(why)),
        Error::InvalidMessage(_) => "it does not speak TLS".to_owned(),
        Error::NoCertificatesPresented => "it shows no certificate, and `cacert` asks for one".to_owned(),
        Error::AlertReceived(alert) => match alert {
            AlertDescription::UnknownCA => "it knows no authority that has signed our certificate".to_owned(),
            AlertDescription::CertificateExpired => "our certificate has expired".to_owned(),
            AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError => {
                format!("it refuses our certificate ({alert:?})")
            }
            other => format!("it has broken off: {other:?}"),
        },
        Error::PeerIncompatible(why) => {
            format!("it offers nothing that is spoken here, which is TLS 1.2 and 1.3 ({why:?})")
        }
        other => other.to_string(),
    }
}

/// A sentence without its subject for an error of TLS, `None` for others.
#[cfg(any(feature = "client", feature = "webhooks", feature = "lookup"))]
pub(crate) fn explain(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidCertificate(why) => format!("its certificate is refused: {}", certificate(why)),
        Error::InvalidMessage(_) => "it does not speak TLS (http instead of https?)".to_owned(),
        Error::AlertReceived(alert) => refused(*alert),
        Error::NoCertificatesPresented => "it shows no certificate".to_owned(),
        other => format!("TLS: {other}"),
    })
}

fn certificate(why: &CertificateError) -> String {
    let words = match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet (is the clock right?)"
        }
        CertificateError::UnknownIssuer => {
            "no authority that is known here has signed it (`cacert` names the right one)"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name than the one that was asked for"
        }
        CertificateError::BadSignature => "its signature is wrong",
        CertificateError::Revoked => "it was revoked",
        other => return other.to_string(),
    };
    words.to_owned()
}

#[cfg(any(feature = "client", feature = "webhooks", feature = "lookup"))]
fn refused(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "it asks for a client's certificate (`certfile` and `keyfile`)".to_owned()
        }
        AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::DecryptError => {
            "it refuses the client's certificate".to_owned()
        }
        AlertDescription::CertificateExpired => "the client's certificate has expired".to_owned(),
        other => format!("it refuses the connection: {other:?}"),
    }
}
