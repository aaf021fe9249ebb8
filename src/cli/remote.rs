//! The running gateway, asked over its API.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::http::Request;

use crate::secret::Secret;

/// How the gateway is reached.
#[derive(Debug, Args)]
pub(super) struct Remote {
    /// The gateway's `admin.address`, as a URL [default: PORTCULLIS_ADMIN of the environment, else http://127.0.0.1:8025]
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// A file with the token [default: the token is PORTCULLIS_TOKEN of the environment; empty, it is as if not set]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print what the API answers, for programs.
    #[arg(long)]
    pub(super) json: bool,
}

impl Remote {
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask("GET", path, None)
    }

    pub(super) fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.ask("DELETE", path, None)
    }

    pub(super) fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask("PUT", path, Some(body.to_string()))
    }

    fn ask(&self, method: &str, path: &str, body: Option<String>) -> anyhow::Result<Value> {
        let admin = self.admin();
        if admin.starts_with("https:") {
            bail!("the admin side speaks plain HTTP: go through a tunnel, such as ssh -L 8025:127.0.0.1:8025 GATEWAY");
        }
        if !admin.starts_with("http://") {
            bail!("{admin} is not a URL (--admin, or PORTCULLIS_ADMIN): it begins with http://");
        }
        let settings = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let agent = ureq::Agent::new_with_config(settings.build());
        let mut request =
            Request::builder().method(method).uri(format!("{}/api/v1{path}", admin.trim_end_matches('/')));
        let token = self.token()?;
        if let Some(token) = &token {
            request = request.header("Authorization", format!("Bearer {}", token.expose()));
        }
        let answer = match body {
            Some(body) => agent.run(request.header("Content-Type", "application/json").body(body)?),
            None => agent.run(request.body(())?),
        };
        let mut answer = answer.with_context(|| {
            format!("no answer from {admin}: is the gateway running, and is this its `admin.address`? (--admin URL)")
        })?;
        let text =
            answer.body_mut().with_config().limit(ANSWER_MAX).read_to_string().context("the answer broke off")?;
        let value: Option<Value> = serde_json::from_str(&text).ok();
        match (answer.status().as_u16(), value) {
            (200, Some(value)) => Ok(value),
            (401, _) if token.is_some() => {
                bail!("the gateway does not know this token: it is none of its `admin.tokens`")
            }
            (401, _) => bail!(
                "the gateway wants a token: --token-file FILE, or PORTCULLIS_TOKEN in the environment, with one of its `admin.tokens`"
            ),
            (status, Some(value)) => bail!(
                "the gateway says no ({status}): {}",
                super::table::shown(value.get("detail").unwrap_or(&Value::Null))
            ),
            (status, None) => bail!("what answered at {admin} is not the gateway's API ({status})"),
        }
    }

    fn token(&self) -> anyhow::Result<Option<Secret>> {
        let text = match &self.token_file {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("the token cannot be read from {}", file.display()))?;
                if text.trim().is_empty() {
                    bail!("{} is empty: it is to hold one of the gateway's `admin.tokens`", file.display());
                }
                text
            }
            None => match from_environment("PORTCULLIS_TOKEN") {
                Some(text) => text,
                None => return Ok(None),
            },
        };
        Ok(Some(Secret::new(text.trim()).context("the token")?))
    }

    /// Not by clap, which shows an option that the environment sets as one that must be given.
    fn admin(&self) -> String {
        self.admin.clone().or_else(|| from_environment("PORTCULLIS_ADMIN")).unwrap_or_else(|| ADMIN.to_owned())
    }
}

/// What is empty is not set: many a unit and script has `VARIABLE=` for none.
fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.trim().is_empty())
}

/// As a part of a path, or behind the `?`.
pub(super) fn part(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Of the examples.
const ADMIN: &str = "http://127.0.0.1:8025";
const PATIENCE: Duration = Duration::from_secs(30);
/// A page of a thousand sessions is well below.
const ANSWER_MAX: u64 = 16 * 1024 * 1024;
