//! The files embedded in the binary: `dashboard/…`, `pixel/…`, `demo/…`.
//!
//! `build.rs` makes the table. It is empty where the web parts had not been
//! built; callers answer 503 with [`NOT_BUILT`] then.

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// What to answer for a part that the binary was built without.
pub const NOT_BUILT: &str = "this binary was built without its web parts: run make build\n";

/// One embedded file, with its packed forms where they were made.
#[derive(Debug)]
pub struct Asset {
    /// Such as `dashboard/index.html`.
    pub path: &'static str,
    pub content_type: &'static str,
    pub plain: &'static [u8],
    pub gzip: Option<&'static [u8]>,
    pub brotli: Option<&'static [u8]>,
    /// A strong entity tag, with its quotes; the same for all forms.
    pub etag: &'static str,
}

/// The file at `path`, such as `pixel/pixel.js`.
pub fn find(path: &str) -> Option<&'static Asset> {
    FILES.binary_search_by(|asset| asset.path.cmp(path)).ok().map(|index| &FILES[index])
}

// === impl Asset ===

impl Asset {
    /// The smallest form that the request's `Accept-Encoding` allows, and its
    /// `Content-Encoding`.
    pub fn negotiate(&self, accept_encoding: &str) -> (&'static [u8], Option<&'static str>) {
        let accepts = |name: &str| {
            accept_encoding.split(',').any(|part| {
                let (coding, parameters) = part.split_once(';').unwrap_or((part, ""));
                let refused =
                    parameters.trim().strip_prefix("q=").is_some_and(|q| q.parse::<f32>() == Ok(0.0));
                coding.trim().eq_ignore_ascii_case(name) && !refused
            })
        };
        if let Some(bytes) = self.brotli.filter(|_| accepts("br")) {
            return (bytes, Some("br"));
        }
        if let Some(bytes) = self.gzip.filter(|_| accepts("gzip")) {
            return (bytes, Some("gzip"));
        }
        (self.plain, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_every_file_is_found() {
        for asset in FILES {
            assert_eq!(find(asset.path).map(|found| found.path), Some(asset.path));
        }
        assert!(find("dashboard/nothing").is_none());
    }

    #[test]
    fn the_best_accepted_form_is_served() {
        let asset = Asset {
            path: "x",
            content_type: "text/plain",
            plain: b"plain",
            gzip: Some(b"gzip"),
            brotli: Some(b"br"),
            etag: "\"1\"",
        };
        for (accept, expected) in [
            ("gzip, deflate, br, zstd", Some("br")),
            ("gzip;q=0.5", Some("gzip")),
            ("br;q=0, gzip", Some("gzip")),
            ("", None),
            ("identity", None),
            ("brotli", None),
        ] {
            assert_eq!(asset.negotiate(accept).1, expected, "{accept:?}");
        }
    }
}
