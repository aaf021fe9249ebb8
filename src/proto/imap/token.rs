//! The words of a client's command, one after the other, whose border is known: atoms, strings, literals.
//!
//! It stands apart because it is the grammar (RFC 3501 §9), while `command` is the meaning. It is stricter than the
//! world in spaces (exactly one), and laxer in one thing: bytes above 0x7F may stand in an atom or a quoted string,
//! since clients send passwords so; whether they are UTF-8 is judged where they become a name or a secret.

use zeroize::Zeroizing;

use super::border::announced;

/// The words that are left of a command.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    rest: &'a [u8],
    /// Whether the command stops at the announcement of a literal, and goes on after it.
    unfinished: bool,
}

/// Why a word could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amiss {
    /// It is wrong.
    Syntax,
    /// It is the literal that the client waits to send; all is well up to there.
    Unfinished,
}

/// Wiped on drop: it may be a password.
pub(super) type Text = Zeroizing<Vec<u8>>;

impl<'a> Tokens<'a> {
    pub(super) const fn new(command: &'a [u8], unfinished: bool) -> Self {
        Self { rest: command, unfinished }
    }

    /// All bytes up to the next space, or the end.
    pub(super) fn word(&mut self) -> &'a [u8] {
        self.split(memchr::memchr(b' ', self.rest).unwrap_or(self.rest.len()))
    }

    /// Exactly one space.
    pub(super) fn space(&mut self) -> Result<(), Amiss> {
        if self.skip(b' ') { Ok(()) } else { Err(Amiss::Syntax) }
    }

    /// This byte, if it comes next.
    pub(super) fn skip(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.split(1);
        }
        found
    }

    /// Nothing more.
    pub(super) fn end(&self) -> Result<(), Amiss> {
        if self.rest.is_empty() { Ok(()) } else { Err(Amiss::Syntax) }
    }

    /// At least one character of an atom, or `]`.
    pub(super) fn atom(&mut self) -> Result<&'a [u8], Amiss> {
        let end = self.rest.iter().position(|byte| !is_astring_char(*byte)).unwrap_or(self.rest.len());
        if end == 0 { Err(Amiss::Syntax) } else { Ok(self.split(end)) }
    }

    /// An atom, a quoted string or a literal.
    pub(super) fn astring(&mut self) -> Result<Text, Amiss> {
        match self.rest.first() {
            Some(b'"' | b'{') => self.string(),
            Some(_) => Ok(Zeroizing::new(self.atom()?.to_vec())),
            None => Err(Amiss::Syntax),
        }
    }

    /// A quoted string, a literal, or NIL.
    pub(super) fn nstring(&mut self) -> Result<Option<Text>, Amiss> {
        match self.rest.first() {
            Some(b'"' | b'{') => self.string().map(Some),
            Some(_) if self.atom()?.eq_ignore_ascii_case(b"NIL") => Ok(None),
            Some(_) | None => Err(Amiss::Syntax),
        }
    }

    /// A quoted string or a literal.
    pub(super) fn string(&mut self) -> Result<Text, Amiss> {
        if self.skip(b'"') {
            self.quoted()
        } else if self.rest.first() == Some(&b'{') {
            self.literal()
        } else {
            Err(Amiss::Syntax)
        }
    }

    /// After the opening quote. Only `"` and `\` may be escaped, and must be; CR, LF and NUL never come.
    fn quoted(&mut self) -> Result<Text, Amiss> {
        let mut text = Zeroizing::new(Vec::with_capacity(self.rest.len()));
        loop {
            match self.rest {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    return Ok(text);
                }
                [b'\\', byte @ (b'"' | b'\\'), rest @ ..] => {
                    text.push(*byte);
                    self.rest = rest;
                }
                [b'\\' | b'\r' | b'\n' | 0, ..] | [] => return Err(Amiss::Syntax),
                [byte, rest @ ..] => {
                    text.push(*byte);
                    self.rest = rest;
                }
            }
        }
    }

    /// `{n}` or `{n+}`, a line end, and so many bytes of any kind.
    fn literal(&mut self) -> Result<Text, Amiss> {
        let end = memchr::memchr(b'\n', self.rest).ok_or(Amiss::Syntax)?;
        let line = self.split(end);
        self.split(1);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // The announcement must begin here: `{x{5}` is one at the end of the line, but not this word.
        let literal = announced(line).filter(|_| memchr::memrchr(b'{', line) == Some(0)).ok_or(Amiss::Syntax)?;
        if self.unfinished && self.rest.is_empty() {
            return Err(Amiss::Unfinished);
        }
        if literal.size > self.rest.len() {
            return Err(Amiss::Syntax);
        }
        Ok(Zeroizing::new(self.split(literal.size).to_vec()))
    }

    fn split(&mut self, at: usize) -> &'a [u8] {
        let (word, rest) = self.rest.split_at_checked(at).unwrap_or((self.rest, b""));
        self.rest = rest;
        word
    }
}

/// RFC 3501 §9, ASTRING-CHAR, and bytes above 0x7F.
const fn is_astring_char(byte: u8) -> bool {
    !matches!(byte, 0..=b' ' | 0x7f | b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn astring(command: &[u8]) -> Result<Vec<u8>, Amiss> {
        let mut tokens = Tokens::new(command, false);
        let text = tokens.astring()?;
        tokens.end()?;
        Ok(text.to_vec())
    }

    #[test]
    fn a_string_comes_as_atom_quoted_or_literal() {
        for command in [&b"alice"[..], b"\"alice\"", b"{5}\r\nalice", b"{5+}\nalice"] {
            assert_eq!(astring(command).as_deref(), Ok(&b"alice"[..]), "{command:?}");
        }
        assert_eq!(astring(br#""a\"b\\c""#).as_deref(), Ok(&br#"a"b\c"#[..]));
        assert_eq!(astring(b"a]b").as_deref(), Ok(&b"a]b"[..]));
        assert_eq!(astring(b"\"\xc3\xa4\"").as_deref(), Ok(&b"\xc3\xa4"[..]));
        assert_eq!(astring(b"{0}\r\n").as_deref(), Ok(&b""[..]));
        assert_eq!(astring(b"{3+}\r\n\r\n\0").as_deref(), Ok(&b"\r\n\0"[..]));
    }

    #[test]
    fn a_wrong_string_is_refused() {
        for command in [
            &b""[..],
            b"\"ali\\ce\"",
            b"\"ali\r\nce\"",
            b"\"ali\0ce\"",
            b"\"ali",
            b"\"ali\\",
            b"ali\"ce",
            b"ali{5+}\r\nalice",
            b"{5x+}\r\nalice",
            b"{x{5+}\r\nalice",
            b"{6+}\r\nalice",
            b"~{5+}\r\nalice",
            b"(alice)",
            b"a%",
            b"a*",
            b"a\x01",
            b"a\rb",
        ] {
            assert_eq!(astring(command), Err(Amiss::Syntax), "{command:?}");
        }
    }

    #[test]
    fn an_unfinished_command_is_well_up_to_its_literal() {
        let mut tokens = Tokens::new(b"{5}\r\n", true);
        assert_eq!(tokens.astring().err(), Some(Amiss::Unfinished));
        let mut tokens = Tokens::new(b"{0}\r\n", true);
        assert_eq!(tokens.astring().err(), Some(Amiss::Unfinished));
        let mut tokens = Tokens::new(b"\"x {5}\r\n", true);
        assert_eq!(tokens.astring().err(), Some(Amiss::Syntax));
    }
}
