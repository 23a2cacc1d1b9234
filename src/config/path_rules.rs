//! `path_rules` of a site: which paths are stored as one, because the path alone
//! tells too much about who reads it (a doctor, a diagnosis, a step of booking).
//!
//! A rule is one line, `PATTERN => STORED`:
//!
//! ```text
//! /doctors/* => /doctors/:doctor        * stands for one segment
//! /booking/** => /booking/:step         ** for all that follow, at least one
//! ```
//!
//! The first rule that fits decides, and the whole path becomes STORED, word for
//! word. Capital and small letters, a slash at the end and doubled slashes make no
//! difference; `%2F` is tried as a slash and as part of a segment. A path that is not decoded
//! (because it is no UTF-8) is compared as it came.
//!
//! At most [`MAX_PATH_RULES`] rules of at most [`MAX_RULE_PATH_BYTES`] a side:
//! each hit may be compared with all of them.

use std::borrow::Cow;

/// A clinic has a handful of kinds of sensitive pages; all rules are tried for each hit.
pub const MAX_PATH_RULES: usize = 64;
/// The longest pattern, and the longest stored path, in bytes.
pub const MAX_RULE_PATH_BYTES: usize = 256;
/// What a rule looks like, for messages.
const EXAMPLE: &str = "\"/doctors/* => /doctors/:doctor\"";

/// The rules of a site, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PathRules(Vec<PathRule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct PathRule {
    /// Lower case.
    segments: Vec<Segment>,
    stored: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Exactly(String),
    Any,
    Rest,
}

// === impl PathRules ===

impl PathRules {
    /// Reads the lines; also returns what is wrong with them.
    pub fn read<S: AsRef<str>>(lines: &[S]) -> (PathRules, Vec<String>) {
        let (mut rules, mut mistakes) = (Vec::<PathRule>::new(), Vec::new());
        if lines.len() > MAX_PATH_RULES {
            mistakes.push(format!("{} rules, at most {MAX_PATH_RULES} are allowed", lines.len()));
        }
        for line in lines.iter().take(MAX_PATH_RULES).map(AsRef::as_ref) {
            match PathRule::read(line) {
                Ok(rule) if rules.iter().any(|known| known.segments == rule.segments) => {
                    mistakes.push(format!("the pattern of {line:?} is used twice"));
                }
                Ok(rule) => rules.push(rule),
                Err(what) => {
                    mistakes.push(format!("expected a rule such as {EXAMPLE}, found {line:?}: {what}"))
                }
            }
        }
        (PathRules(rules), mistakes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Groups a path of the site; says whether a rule did.
    pub fn apply(&self, path: &mut Cow<'_, str>) -> bool {
        match self.stored(path) {
            Some(stored) => {
                *path = Cow::Owned(stored.to_owned());
                true
            }
            None => false,
        }
    }

    fn stored(&self, path: &str) -> Option<&str> {
        if self.is_empty() {
            return None;
        }
        let path = path.to_lowercase();
        let decoded = path.replace("%2f", "/");
        let (raw, decoded) = (segments(&path), segments(&decoded));
        let fitting = self.0.iter().find(|rule| rule.fits(&raw) || rule.fits(&decoded));
        fitting.map(|rule| rule.stored.as_str())
    }
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|segment| !segment.is_empty()).collect()
}

// === impl PathRule ===

impl PathRule {
    fn read(line: &str) -> Result<PathRule, String> {
        let (pattern, stored) = line.split_once("=>").ok_or("it has no \"=>\"")?;
        let (pattern, stored) = (pattern.trim(), stored.trim());
        for (side, text) in [("pattern", pattern), ("stored path", stored)] {
            if !text.starts_with('/') {
                return Err(format!("the {side} does not begin with a slash"));
            }
            if text.len() > MAX_RULE_PATH_BYTES {
                return Err(format!("the {side} is longer than {MAX_RULE_PATH_BYTES} bytes"));
            }
            let is_wrong = |character: char| {
                character.is_control() || character.is_whitespace() || "?#%=>".contains(character)
            };
            if let Some(wrong) = text.chars().find(|character| is_wrong(*character)) {
                return Err(format!("the {side} holds {wrong:?}; paths are written in their letters"));
            }
        }
        if stored.contains('*') {
            return Err("the stored path holds a star; it is stored word for word".to_owned());
        }
        let mut segments: Vec<Segment> = Vec::new();
        for segment in pattern.to_lowercase().split('/').filter(|segment| !segment.is_empty()) {
            if segments.last() == Some(&Segment::Rest) {
                return Err("** stands for all that follows, so nothing follows it".to_owned());
            }
            segments.push(match segment {
                "*" => Segment::Any,
                "**" => Segment::Rest,
                name if name.contains('*') => {
                    return Err(format!("{name:?}: a star stands for a whole segment"));
                }
                name => Segment::Exactly(name.to_owned()),
            });
        }
        if segments.is_empty() {
            return Err("the pattern names no segment".to_owned());
        }
        Ok(PathRule { segments, stored: stored.to_owned() })
    }

    fn fits(&self, path: &[&str]) -> bool {
        let has_rest = self.segments.last() == Some(&Segment::Rest);
        let length = self.segments.len();
        let fits_length = if has_rest { path.len() >= length } else { path.len() == length };
        fits_length
            && self.segments.iter().zip(path).all(|(segment, found)| match segment {
                Segment::Exactly(name) => name == found,
                Segment::Any | Segment::Rest => true,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(lines: &[&str]) -> PathRules {
        let (rules, mistakes) = PathRules::read(lines);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        rules
    }

    #[test]
    fn paths_are_grouped_by_the_first_rule_that_fits() {
        let rules = rules(&[
            "/doctors/list => /doctors/list",
            "/doctors/* => /doctors/:doctor",
            "/doctors/*/reviews=>/doctors/:doctor/reviews",
            "/booking/** => /booking/:step",
            "/Врачи/*/ => /врачи/:врач",
        ]);
        let cases = [
            ("/doctors/ivanova", Some("/doctors/:doctor")),
            ("/doctors/ivanova/", Some("/doctors/:doctor")),
            ("/Doctors//Ivanova", Some("/doctors/:doctor")),
            ("/doctors%2Fivanova", Some("/doctors/:doctor")),
            ("/doctors/iva%2Fnova", Some("/doctors/:doctor")),
            ("/doctors/[phone]", Some("/doctors/:doctor")),
            ("/doctors/:doctor", Some("/doctors/:doctor")),
            ("/doctors/list", Some("/doctors/list")),
            ("/doctors/ivanova/reviews", Some("/doctors/:doctor/reviews")),
            ("/doctors/ivanova/diplomas", None),
            ("/doctors", None),
            ("/doctors/", None),
            ("/doctorsx/ivanova", None),
            ("/booking/1", Some("/booking/:step")),
            ("/booking/1/2/3", Some("/booking/:step")),
            ("/booking/", None),
            ("/врачи/иванова", Some("/врачи/:врач")),
            ("/ВРАЧИ/Иванова/", Some("/врачи/:врач")),
            ("/", None),
            ("", None),
        ];
        for (path, expected) in cases {
            let mut stored = Cow::Borrowed(path);
            let grouped = rules.apply(&mut stored);
            assert_eq!((grouped, &*stored), (expected.is_some(), expected.unwrap_or(path)), "{path}");
        }
    }

    #[test]
    fn what_is_no_rule_is_named_with_what_is_wrong() {
        let long = format!("/{}/* => /x", "a".repeat(MAX_RULE_PATH_BYTES));
        for (line, what) in [
            ("/doctors/*", "no \"=>\""),
            ("doctors/* => /x", "the pattern does not begin with a slash"),
            ("/doctors/* => x", "the stored path does not begin with a slash"),
            ("/doctors/* =>", "the stored path does not begin"),
            ("/doctors/dr-* => /x", "\"dr-*\": a star stands for a whole segment"),
            ("/doctors/** /x => /x", "the pattern holds ' '"),
            ("/doctors/**/x => /x", "nothing follows it"),
            ("/doctors/* => /doctors/*", "the stored path holds a star"),
            ("/doctors/*?a => /x", "the pattern holds '?'"),
            ("/%D0%B2/* => /x", "the pattern holds '%'"),
            ("/a => /b => /c", "the stored path holds ' '"),
            ("/ => /x", "names no segment"),
            (&long, "longer than 256 bytes"),
        ] {
            let (_, mistakes) = PathRules::read(&[line]);
            assert!(mistakes.len() == 1 && mistakes[0].contains(what), "{line}: {mistakes:?}");
        }
        let (_, mistakes) = PathRules::read(&["/a/* => /b", "/A/*/ => /c"]);
        assert!(mistakes[0].contains("is used twice"), "{mistakes:?}");
        let many: Vec<String> = (0..=MAX_PATH_RULES).map(|n| format!("/{n}/* => /x")).collect();
        let (rules, mistakes) = PathRules::read(&many);
        assert_eq!((rules.0.len(), mistakes.len()), (MAX_PATH_RULES, 1), "{mistakes:?}");
    }
}
