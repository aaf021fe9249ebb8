//! The section about the HTTP side: where it listens, and who may use it.

use super::item::Item;
use super::listeners::Bound;
use super::sheet::Fields;
use super::values::{self, Reading};
use crate::config::{Admin, May, Ready, Token};
use crate::secret::Secret;

pub(super) fn admin(root: &mut Fields<'_>, bound: &Bound) -> Option<Admin> {
    let mut fields = root.take("admin")?.fields()?;
    let item = fields.need("address");
    let tokens = fields.take("tokens").map(|list| tokens(&list)).unwrap_or_default();
    let hosts = fields.take("hosts").map(Item::one_or_more).unwrap_or_default();
    let hosts = hosts.iter().filter_map(|item| item.read(values::domain)).collect();
    let ready = fields.take("ready").and_then(|item| item.choice(&READY)).unwrap_or_default();
    let item = item?;
    let address = item.read(values::bound_address)?;
    if let Some(path) = bound.holder(address) {
        item.fault(format!("`{address}` is also the address of {path}"));
    }
    Some(Admin { address, tokens: tokens.into(), hosts, ready })
}

fn tokens(list: &Item<'_>) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for item in list.some_items() {
        let Some(token) = token(&item) else { continue };
        if tokens.iter().any(|other| other.name == token.name) {
            item.fault(format!("the name `{}` is taken by another token", token.name));
        } else if tokens.iter().any(|other| other.secret.current().expose() == token.secret.current().expose()) {
            item.fault("is the same token as another");
        }
        tokens.push(token);
    }
    tokens
}

fn token(item: &Item<'_>) -> Option<Token> {
    let mut fields = item.fields()?;
    let name = fields.need("name").and_then(|item| item.read(name));
    let secret = fields.need("token").and_then(|item| {
        let secret = item.reloadable_secret(is_token)?;
        let fits = is_token(&secret.current());
        if !fits {
            // Never quoted.
            item.fault(format!(
                "is not a token: at least {TOKEN_MIN} printable characters, as `openssl rand -hex 32` makes"
            ));
        }
        fits.then_some(secret)
    });
    let may = fields.need("may").and_then(|item| item.choice(&[("read", May::Read), ("admin", May::Admin)]));
    Some(Token { name: name?, secret: secret?, may: may? })
}

fn is_token(secret: &Secret) -> bool {
    secret.expose().len() >= TOKEN_MIN && secret.expose().bytes().all(|byte| byte.is_ascii_graphic())
}

fn name(text: &str) -> Reading<String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte));
    if is_plain && (1..=64).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err("is not a name: 1 to 64 letters, digits and -_.@".to_owned())
    }
}

/// What cannot be guessed over the network.
const TOKEN_MIN: usize = 16;
const READY: [(&str, Ready); 2] = [("lenient", Ready::Lenient), ("strict", Ready::Strict)];
