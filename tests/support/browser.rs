//! A visitor's browser: it views pages and keeps the cookie that it is offered.

use hmac::{Hmac, KeyInit, Mac};

use crate::http;
use crate::server::{Server, wait_for};

/// With which the site `clinic` signs user keys; written to `user-key.secret`.
pub const SECRET: &str = "a secret of the clinic's server";

/// A browser.
#[derive(Clone)]
pub struct Browser {
    pub cookie: String,
    pub user_key: Option<&'static str>,
    pub address: &'static str,
}

// === impl Browser ===

impl Browser {
    pub fn new(address: &'static str) -> Browser {
        Browser { cookie: String::new(), user_key: None, address }
    }

    /// One that signs in.
    pub fn of(user_key: &'static str, address: &'static str) -> Browser {
        Browser { user_key: Some(user_key), ..Browser::new(address) }
    }

    /// One page view on a site, answered as kept; takes the cookie that it is offered.
    pub fn view(&mut self, server: &Server, site: &str, path: &str) {
        let mut target = format!("/pixel.gif?s={site}&u=https://{site}.example{path}");
        // Other sites have no secret for user keys.
        if let Some(key) = self.user_key.filter(|_| site == "clinic") {
            let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
            mac.update(format!("{site}:{key}").as_bytes());
            let mac: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            target.push_str(&format!("&uk={key}.{mac}"));
        }
        let reply = self.get(server, &target);
        assert_eq!(reply.header("x-metka"), Some("ok"), "{path}");
        if let Some(cookie) = reply.cookie("metka") {
            self.cookie = cookie;
        }
    }

    pub fn get(&self, server: &Server, target: &str) -> http::Reply {
        let headers = [("Cookie", self.cookie.as_str()), ("X-Forwarded-For", self.address)];
        http::exchange(server.collect, &http::get(target, &headers))
    }

    /// The cookie's value.
    pub fn value(&self) -> &str {
        self.cookie.split_once('=').expect("it has a cookie").1
    }
}

/// Waits until storage has so many rows of a site.
pub fn stored(server: &Server, site: &str, rows: u64) {
    wait_for("storage to have the rows", || {
        let sql = format!("SELECT count() FROM metka.hits WHERE site = '{site}'");
        (server.rows(&sql)[0][0] == rows).then_some(())
    });
}
