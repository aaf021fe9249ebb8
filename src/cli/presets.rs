//! `portcullis presets [NAME]`: what the presets of LDAP sources stand for.

use anyhow::bail;

use super::say;
use crate::config;

pub(super) fn presets(name: Option<&str>) -> anyhow::Result<()> {
    let all: Vec<_> = config::presets().collect();
    let wanted: Vec<&str> =
        all.iter().filter(|(known, _)| name.is_none_or(|name| name == *known)).map(|(_, text)| text.as_str()).collect();
    if wanted.is_empty() {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        bail!("no preset has this name; there are {}", names.join(", "));
    }
    say(&wanted.join("\n"))
}
