//! What has gone wrong between two that do not trust each other, in words.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// A sentence without its subject for an error of TLS, `None` for others.
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
