//! When a hit reaches a goal, by hand: no SQL, no expressions.

use metka::event::Kind;
use metka::settings::Aim;

/// What a goal looks at.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub kind: Kind,
    pub name: &'a str,
    pub path: &'a str,
    pub ad: &'a str,
    /// 255 when it was not said.
    pub scroll: u8,
}

pub fn reached(aim: &Aim, hit: Seen<'_>) -> bool {
    match aim {
        Aim::Event { value, .. } => hit.kind == Kind::Event && hit.name == value,
        Aim::Page { value } => hit.kind == Kind::Pageview && fits(value, hit.path),
        Aim::Scroll { value, percent } => {
            hit.kind == Kind::Engagement
                && hit.scroll <= 100
                && hit.scroll >= *percent
                && fits(value, hit.path)
        }
        Aim::AdClick { value } => hit.kind == Kind::AdClick && (value.is_empty() || hit.ad == value),
    }
}

/// `*` is anything but `/`, `**` is anything.
pub fn fits(pattern: &str, path: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("**") {
        return path.char_indices().any(|(at, _)| fits(rest, &path[at..])) || fits(rest, "");
    }
    if let Some(rest) = pattern.strip_prefix('*') {
        let end = path.find('/').unwrap_or(path.len());
        let ends = path[..end].char_indices().map(|(at, _)| at).chain([end]);
        return ends.into_iter().any(|at| fits(rest, &path[at..]));
    }
    match (pattern.chars().next(), path.chars().next()) {
        (None, None) => true,
        (Some(wanted), Some(found)) if wanted == found => {
            fits(&pattern[wanted.len_utf8()..], &path[found.len_utf8()..])
        }
        _ => false,
    }
}
