//! Embeds what the binary serves: the dashboard, the script, the demo clinic.
//!
//! In: `dashboards/dist` and `pixel/dist` (made by npm, each file beside its
//! `.gz` and `.br` where those exist) and `pixel/demo-clinic`.
//! Out: `assets.rs` in `OUT_DIR`: one sorted table for `src/assets.rs`.
//!
//! A missing folder is a warning, not an error, so that `cargo check` works
//! without Node; the server then answers 503 for it, and `make build` always
//! makes both first.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The folders and the prefixes under which their files are found.
const ROOTS: [(&str, &str); 3] =
    [("dashboards/dist", "dashboard"), ("pixel/dist", "pixel"), ("pixel/demo-clinic", "demo")];

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    println!("cargo:rerun-if-changed=build.rs");
    let mut files = BTreeMap::new();
    for (folder, prefix) in ROOTS {
        let path = root.join(folder);
        println!("cargo:rerun-if-changed={folder}");
        if path.is_dir() {
            collect(&path, prefix, &mut files);
        } else {
            println!("cargo:warning={folder} is missing, the binary is built without it: run make build");
        }
    }
    let mut source = String::from("pub(super) static FILES: &[Asset] = &[\n");
    for (name, path) in &files {
        if is_variant(name, &files) {
            continue;
        }
        let variant = |ending: &str| match files.get(&format!("{name}.{ending}")) {
            Some(path) => format!("Some(include_bytes!({path:?}))"),
            None => "None".to_owned(),
        };
        let bytes = fs::read(path).expect("the file was just listed");
        writeln!(
            source,
            "    Asset {{ path: {name:?}, content_type: {:?}, plain: include_bytes!({path:?}), gzip: {}, brotli: {}, etag: \"\\\"{:016x}\\\"\" }},",
            content_type(name),
            variant("gz"),
            variant("br"),
            fingerprint(&bytes),
        )
        .expect("writing to a string does not fail");
    }
    source.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("assets.rs");
    fs::write(out, source).expect("OUT_DIR is writable");
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder").flatten() {
        let path = entry.path();
        let name = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        if path.is_dir() {
            println!("cargo:rerun-if-changed={}", path.display());
            collect(&path, &name, files);
        } else {
            println!("cargo:rerun-if-changed={}", path.display());
            files.insert(name, path);
        }
    }
}

/// `x.js.gz` is the packed form of `x.js`, not a file of its own.
fn is_variant(name: &str, files: &BTreeMap<String, PathBuf>) -> bool {
    [".gz", ".br"]
        .iter()
        .any(|ending| name.strip_suffix(ending).is_some_and(|plain| files.contains_key(plain)))
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("txt") => "text/plain; charset=utf-8",
        Some("pdf") => "application/pdf",
        Some("webmanifest") => "application/manifest+json",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

/// FNV-1a: an entity tag only has to change when the bytes do.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
