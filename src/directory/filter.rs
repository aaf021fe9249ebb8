//! LDAP filters with the user put in: the one place where RFC 4515 §3 escaping happens.
//!
//! A filter is parsed once into pieces; what is put in between is always escaped, and nothing can switch that off.

use std::fmt::Write as _;

/// A filter with `{user}`, `{local}`, `{domain}`, and `{account}`: the local part without a Windows domain in front.
#[derive(Debug, Clone)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    User,
    Local,
    /// `alice` of `EXAMPLE\alice@example.com`.
    Account,
    Domain,
}

/// What is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateProblem {
    /// A brace that is no placeholder.
    #[error("{{user}}, {{local}}, {{account}} and {{domain}} may stand in a filter, not {0}")]
    Placeholder(String),
    /// RFC 4515 does not know it, or a placeholder stands elsewhere than in a value.
    #[error("it is not an RFC 4515 filter with its placeholders in values")]
    Filter,
}

impl Template {
    /// Reads a filter.
    ///
    /// # Errors
    /// [`TemplateProblem`]: unknown placeholders, or no filter.
    pub(super) fn new(text: &str) -> Result<Self, TemplateProblem> {
        let template = Self(pieces(text)?);
        // A name of nothing but metacharacters parses only where a value is meant.
        let worst = escape("*()\\");
        let sample = template.render(|_| &worst);
        ldap3::parse_filter(&sample).map_err(|()| TemplateProblem::Filter)?;
        Ok(template)
    }

    /// Whether it may be asked for `@domain`: with nothing in `{local}`, `uid={local}` finds nobody, and `uid={local}*`
    /// would find anybody.
    pub(super) fn knows_domains(&self) -> bool {
        let names_domain = self.0.iter().any(|piece| matches!(piece, Piece::User | Piece::Domain));
        let is_star = |piece: &Piece, end: fn(&str, char) -> bool| matches!(piece, Piece::Text(text) if end(text, '*'));
        let widens = |pair: &[Piece]| match pair {
            [Piece::Local | Piece::Account, text] => is_star(text, |text, star| text.starts_with(star)),
            [text, Piece::Local | Piece::Account] => is_star(text, |text, star| text.ends_with(star)),
            _ => false,
        };
        names_domain && !self.0.windows(2).any(widens)
    }

    /// The filter that asks for this canonical name: `local@domain`, `local`, or `@domain` for anyone else there.
    pub(super) fn fill(&self, name: &str) -> String {
        let (local, domain) = name.split_once('@').unwrap_or((name, ""));
        let account = local.rsplit_once('\\').map_or(local, |(_, account)| account);
        let (name, local, account, domain) = (escape(name), escape(local), escape(account), escape(domain));
        self.render(|piece| match piece {
            Piece::Text(text) => text,
            Piece::User => &name,
            Piece::Local => &local,
            Piece::Account => &account,
            Piece::Domain => &domain,
        })
    }

    /// The filter that lets through everybody whom [`fill`](Self::fill) would find by some name: a value that a name was
    /// part of may be any.
    pub(super) fn anybody(&self) -> String {
        // A star beside a star of the filter's own would be no filter.
        self.render(|_| "*").replace("**", "*")
    }

    /// The same, of those whose attribute has one of these values.
    pub(super) fn anybody_with(&self, attribute: &str, values: &[String]) -> String {
        let mut filter = format!("(&{}(|", self.anybody());
        for value in values {
            // Writing to a String cannot fail.
            let _ = write!(filter, "({attribute}={})", escape(value));
        }
        filter + "))"
    }

    fn render<'a>(&'a self, value: impl Fn(&'a Piece) -> &'a str) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                piece => value(piece),
            })
            .collect()
    }
}

fn pieces(mut text: &str) -> Result<Vec<Piece>, TemplateProblem> {
    let mut pieces = Vec::new();
    while let Some((before, rest)) = text.split_once('{') {
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        let (word, rest) = rest.split_once('}').unwrap_or((rest, ""));
        pieces.push(match word {
            "user" => Piece::User,
            "local" => Piece::Local,
            "account" => Piece::Account,
            "domain" => Piece::Domain,
            _ => return Err(TemplateProblem::Placeholder(format!("{{{word}}}"))),
        });
        text = rest;
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
    Ok(pieces)
}

/// RFC 4515 §3: `*`, `(`, `)`, `\` and NUL as `\xx`; and whatever is not printable ASCII, which costs nothing.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'*' | b'(' | b')' | b'\\' => push_escaped(&mut escaped, byte),
            byte if byte.is_ascii_graphic() || byte == b' ' => escaped.push(char::from(byte)),
            byte => push_escaped(&mut escaped, byte),
        }
    }
    escaped
}

fn push_escaped(text: &mut String, byte: u8) {
    // Writing to a String cannot fail.
    let _ = write!(text, "\\{byte:02x}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::User;

    fn fill(template: &str, name: &str) -> String {
        let user = User::new(name, Some("example.com")).expect("a name");
        Template::new(template).expect("a filter").fill(user.name())
    }

    #[test]
    fn placeholders_are_replaced_wherever_they_stand() {
        let filter = "(&(objectClass=inetLocalMailRecipient)(|(mail={user})(uid={local})(o={domain})(x=a{local}b)))";
        assert_eq!(
            fill(filter, "Alice"),
            "(&(objectClass=inetLocalMailRecipient)(|(mail=alice@example.com)(uid=alice)(o=example.com)(x=aaliceb)))"
        );
    }

    #[test]
    fn a_domain_is_asked_for_where_the_filter_can_tell_it_from_everybody() {
        let template = |text| Template::new(text).expect("a filter");
        let filter = template("(|(mail={user})(uid={local})(x={local}@{domain}))");
        assert!(filter.knows_domains());
        assert_eq!(filter.fill("@example.com"), "(|(mail=@example.com)(uid=)(x=@example.com))");
        for text in
            ["(uid={local})", "(|(mail={user})(uid={local}*))", "(mail=*{local}@{domain})", "(x=a{local}*{user})"]
        {
            assert!(!template(text).knows_domains(), "{text}");
        }
    }

    #[test]
    fn everybody_whom_some_name_would_find_is_let_through_and_nobody_else() {
        let template =
            Template::new("(&(objectClass=x)(|(mail={user})(uid=a{local}*)(y=*{domain}z)))").expect("a filter");
        assert_eq!(template.anybody(), "(&(objectClass=x)(|(mail=*)(uid=a*)(y=*z)))");
        let one = Template::new("(mail={user})").expect("a filter").anybody_with("uid", &["a*".into(), "b".into()]);
        assert_eq!(one, "(&(mail=*)(|(uid=a\\2a)(uid=b)))");
        assert!(ldap3::parse_filter(&one).is_ok() && ldap3::parse_filter(template.anybody()).is_ok());
    }

    #[test]
    fn metacharacters_are_escaped_once() {
        assert_eq!(fill("(uid={local})", "*)(uid=*"), "(uid=\\2a\\29\\28uid=\\2a)");
        assert_eq!(fill("(uid={local})", "\\2a"), "(uid=\\5c2a)");
        assert_eq!(escape("\0\r\u{e9}"), "\\00\\0d\\c3\\a9");
    }

    #[test]
    fn an_account_is_the_local_part_without_its_windows_domain() {
        assert_eq!(fill("(sAMAccountName={account})", "EXAMPLE\\Alice"), "(sAMAccountName=alice)");
        assert_eq!(fill("(sAMAccountName={account})", "alice@example.org"), "(sAMAccountName=alice)");
        assert_eq!(fill("(x={local})", "EXAMPLE\\alice"), "(x=example\\5calice)");
        // Nothing, which no entry has.
        assert_eq!(fill("(sAMAccountName={account})", "EXAMPLE\\"), "(sAMAccountName=)");
        assert!(!Template::new("(|(mail={user})(x={account}*))").expect("a filter").knows_domains());
    }

    #[test]
    fn a_name_that_looks_like_a_placeholder_is_not_one() {
        assert_eq!(fill("(uid={local})", "{user}"), "(uid={user})");
    }

    #[test]
    fn unknown_placeholders_and_broken_filters_are_refused() {
        assert_eq!(Template::new("(uid={name})").err(), Some(TemplateProblem::Placeholder("{name}".into())));
        assert_eq!(Template::new("(uid={user").err(), Some(TemplateProblem::Filter));
        for filter in ["", "(uid={user}", "(uid={user}))", "uid", "(&(uid={user})"] {
            assert_eq!(Template::new(filter).err(), Some(TemplateProblem::Filter), "{filter}");
        }
    }

    #[test]
    fn a_placeholder_may_stand_in_a_value_only() {
        for filter in ["({local}=x)", "(a{local}=x)", "(&{user})", "{user}"] {
            assert_eq!(Template::new(filter).err(), Some(TemplateProblem::Filter), "{filter}");
        }
    }
}
