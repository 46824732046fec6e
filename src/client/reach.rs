//! How whoever is asked is reached: the same for nodes and for lookup servers.

use std::time::Duration;

use super::answer::missing;
use super::lookup::LookupServer;
use super::server::Server;
use crate::Result;

macro_rules! reached {
    ($($who:ident)*) => {
        $(
            /// How it is reached.
            impl $who {
                /// Sends this key with each request. Default: none.
                #[must_use]
                pub fn api_key(mut self, key: impl Into<String>) -> Self {
                    self.http.api_key = Some(key.into());
                    self
                }

                /// Whom to believe that it is who is meant, and the certificate to show it. Default: the authorities of the system, and none.
                #[cfg(feature = "tls")]
                #[must_use]
                pub fn tls(mut self, tls: &crate::tls::Client) -> Self {
                    self.http.set_tls(tls.clone());
                    self
                }

                /// Whether it is asked by TLS.
                #[must_use]
                pub fn is_tls(&self) -> bool {
                    self.http.address.is_tls()
                }

                /// How long an answer may take, connecting included; for a feed, its beginning. Default: 10 s.
                #[must_use]
                pub fn timeout(mut self, timeout: Duration) -> Self {
                    // Zero is no time-out for sockets.
                    self.http.timeout = timeout.max(Duration::from_millis(1));
                    self
                }

                /// The address, as it was understood.
                #[must_use]
                pub fn address(&self) -> String {
                    self.http.address.to_string()
                }

                /// Its version.
                ///
                /// # Errors
                ///
                /// Those of the [module](super#errors); so for all methods.
                pub fn version(&self) -> Result<String> {
                    self.http.get("/version")?["version"].as_str().map(str::to_owned).ok_or_else(|| missing("version"))
                }

                /// Whether it answers.
                ///
                /// # Errors
                ///
                /// It does not.
                pub fn ping(&self) -> Result<()> {
                    match self.http.text("/ping")?.trim() {
                        "OK" => Ok(()),
                        _ => Err(self.http.strange("/ping", "OK")),
                    }
                }
            }
        )*
    };
}

reached! { Server LookupServer }
