//! Words for messages: what an unknown key may have meant, and how a value is quoted.

/// What is wrong with a key that no section asked for.
pub(super) fn unknown_key(key: &str, known: &[&str]) -> String {
    if LATER.contains(&key) {
        return "is a key of a later version; this version does not know it".to_owned();
    }
    match meant(key, known) {
        Some(word) => format!("this version does not know this key; did you mean `{word}`?"),
        None if known.is_empty() => "this version does not know this key".to_owned(),
        None => {
            let mut known = known.to_vec();
            known.sort_unstable();
            known.dedup();
            format!("this version does not know this key; it knows {}", known.join(", "))
        }
    }
}

/// The known key that an unknown one probably stands for.
pub(super) fn meant<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    if LATER.contains(&key) { None } else { nearest(key, known.iter().copied()) }
}

/// The word that is a typing error away from this one, or two where it is long.
pub(in crate::config) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let limit = if word.chars().count() < 5 { 1 } else { 2 };
    let steps = known.map(|other| (strsim::osa_distance(word, other), other)).min();
    steps.filter(|(steps, _)| *steps <= limit).map(|(_, other)| other)
}

/// Keys that later versions have: no typing errors, so nothing is suggested in their place.
const LATER: &[&str] = &["bandwidth", "client_ca", "defence", "http", "rules", "sieve", "warm", "xclient"];

/// A value as a message shows it: one line, not too long.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("`{shown}`")
}

const SHOWN_MAX: usize = 80;

/// A path as a message shows it: a key of somebody's file may be of any length.
pub(super) fn cut(path: &str) -> &str {
    path.char_indices().nth(PATH_MAX).map_or(path, |(end, _)| path.get(..end).unwrap_or_default())
}

const PATH_MAX: usize = 400;

/// Control characters are escaped: a message is one line, and cannot steer a terminal.
pub(super) fn one_line(text: &str) -> String {
    let escape = |char: char| if char.is_control() { char.escape_default().to_string() } else { char.to_string() };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_key_is_suggested_and_a_far_one_is_not() {
        assert!(unknown_key("adress", &["address", "tls"]).contains("did you mean `address`"));
        assert!(!unknown_key("colour", &["address", "tls"]).contains("did you mean"));
        assert!(!unknown_key("warm", &["wait"]).contains("did you mean"));
    }
}
