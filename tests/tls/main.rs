//! TLS without a proxy: what is agreed on and what is refused, HTTP/2, renewal of
//! the certificate while the server runs, and what `metka check` says.

#[path = "../support/collector.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared collector")]
mod collector;
#[path = "../support/pem.rs"]
mod pem;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;
#[path = "../support/tls.rs"]
mod tls;

mod check;
mod renew;
mod serve;

const PAGE: &str = "/pixel.gif?s=clinic&u=https%3A%2F%2Fclinic.example%2F";
const NAME: &str = "stats.clinic.example";

/// A runtime for the client.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// A configuration whose collect address ends TLS by itself.
fn configured(pair: &pem::Pair) -> String {
    format!(
        "[collect]\nthreads = 1\nclient_address = \"peer\"\npublic_url = \"https://{NAME}\"\n\
         rate_limit_per_minute = 0\nrate_limit_network_per_minute = 0\n\
         tls_certificate_file = {:?}\ntls_key_file = {:?}\n\
         [[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\n",
        pair.certificate, pair.key
    )
}
