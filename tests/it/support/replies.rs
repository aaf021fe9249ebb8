//! A mail server of a few lines: it lets everyone in and agrees with everything.

use super::mail::Mail;

/// What it says to a client that connects.
pub const fn greeting(mail: Mail) -> &'static str {
    match mail {
        Mail::Imap => "* OK [CAPABILITY IMAP4rev1 SASL-IR ID AUTH=PLAIN] fake\r\n",
        Mail::Pop3 => "+OK fake\r\n",
    }
}

/// What it says to a line of a client.
pub fn reply(mail: Mail, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    match mail {
        Mail::Imap => imap(&words),
        Mail::Pop3 => pop3(&words),
    }
}

fn imap(words: &[&str]) -> String {
    let tag = words.first().copied().unwrap_or("*");
    let verb = words.get(1).copied().unwrap_or_default().to_uppercase();
    match verb.as_str() {
        "CAPABILITY" => format!("* CAPABILITY IMAP4rev1 SASL-IR ID AUTH=PLAIN\r\n{tag} OK done\r\n"),
        "ID" => format!("* ID NIL\r\n{tag} OK done\r\n"),
        "LOGOUT" => format!("* BYE bye\r\n{tag} OK done\r\n"),
        _ => format!("{tag} OK done\r\n"),
    }
}

fn pop3(words: &[&str]) -> String {
    match words.first().copied().unwrap_or_default().to_uppercase().as_str() {
        "CAPA" => "+OK\r\nUSER\r\nSASL PLAIN\r\n.\r\n".to_owned(),
        _ => "+OK done\r\n".to_owned(),
    }
}

/// What a server that takes mail says to a verb, as [`Fault::at`](super::fake::Fault::at) has it.
pub fn smtp(verb: &str) -> &'static str {
    match verb {
        "EHLO" => "250-fake\r\n250-SIZE 1000000\r\n250-DSN\r\n250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN\r\n",
        "XCLIENT" => "220 fake ESMTP\r\n",
        "DATA" => "354 go on\r\n",
        "TEXT" => "",
        "QUIT" => "221 bye\r\n",
        _ => "250 2.0.0 done\r\n",
    }
}
