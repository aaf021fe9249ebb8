//! What MAIL and RCPT may say, and what nobody is told.

use super::*;

fn sent(arguments: &str) -> Result<Mail, &'static str> {
    mail(arguments.as_bytes(), "client")
}

fn plain(sender: &str) -> Mail {
    Mail { sender: sender.into(), helo: "client".into(), size: None, eight_bit: false, ret: None, envid: None }
}

fn code(answer: Result<impl std::fmt::Debug, &'static str>) -> &'static str {
    answer.expect_err("a refusal").split_once(' ').map_or("", |(code, _)| code)
}

#[test]
fn mail_has_a_sender_and_parameters() {
    assert_eq!(sent("FROM:<a@b>"), Ok(plain("a@b")));
    assert_eq!(sent("from: <> "), Ok(plain("")));
    assert_eq!(sent("FROM:<@x,@y:a@b> body=7bit"), Ok(plain("a@b")));
    let all = "FROM:<a@b> SIZE=1000 BODY=8BITMIME RET=hdrs ENVID=x+20y AUTH=<>";
    let expected =
        Mail { size: Some(1000), eight_bit: true, ret: Some("HDRS"), envid: Some("x+20y".into()), ..plain("a@b") };
    assert_eq!(sent(all), Ok(expected));
    assert_eq!(sent("FROM:<a@b> AUTH=e+3Dmc2@example.com"), Ok(plain("a@b")));
    assert_eq!(sent("FROM:<a@b> SIZE=18446744073709551615").map(|mail| mail.size), Ok(Some(u64::MAX)));
}

#[test]
fn a_recipient_has_an_address_and_parameters() {
    let to = |arguments: &str| recipient(arguments.as_bytes());
    let bob = |notify: Option<&str>, orcpt: Option<&str>| {
        Ok(Recipient { address: "b@c".into(), notify: notify.map(Into::into), orcpt: orcpt.map(Into::into) })
    };
    assert_eq!(to("TO:<b@c>"), bob(None, None));
    assert_eq!(to("to: <@x:b@c>  notify=never"), bob(Some("NEVER"), None));
    assert_eq!(to("TO:<b@c> NOTIFY=delay,Success"), bob(Some("SUCCESS,DELAY"), None));
    assert_eq!(to("TO:<b@c> ORCPT=rfc822;b+2Bx@c"), bob(None, Some("rfc822;b+2Bx@c")));
    assert_eq!(to("TO:<Postmaster>").map(|recipient| recipient.address), Ok("Postmaster".to_owned()));
}

#[test]
fn mail_that_cannot_be_read_is_refused() {
    for (arguments, expected) in [
        ("", "501"),
        ("FROM", "501"),
        ("FROM:", "501"),
        ("TO:<a@b>", "501"),
        ("FROM:a@b", "501"),
        ("FROM:<a> \"=", "501"), // D37
        ("FROM:<a@b> \"=", "501"),
        ("FROM:<a@b> \"", "501"),
        ("FROM:<>=", "501"),
        ("FROM:<>SIZE=1", "501"),
        ("FROM:<a@b> =", "501"),
        ("FROM:<a@b> SIZE", "501"),
        ("FROM:<a@b> SIZE=", "501"),
        ("FROM:<a@b> SIZE=-1", "501"), // D36
        ("FROM:<a@b> SIZE=+1", "501"),
        ("FROM:<a@b> SIZE=1 SIZE=1", "501"),
        ("FROM:<a@b> SIZE=1 size=2", "501"),
        ("FROM:<a@b> SIZE=99999999999999999999", "501"),
        ("FROM:<a@b> SIZE=000000000000000000001", "501"),
        ("FROM:<a@b> BODY=X", "501"),
        ("FROM:<a@b> BODY=BINARYMIME", "555"),
        ("FROM:<a@b> SMTPUTF8", "555"),
        ("FROM:<a@b> RET=X", "501"),
        ("FROM:<a@b> ENVID=+00", "501"),
        ("FROM:<a@b> ENVID=a+0D+0AQUIT", "501"),
        ("FROM:<a@b> AUTH=+00", "501"),
        ("FROM:<a@b> AUTH=<", "250"),
        ("FROM:<a@b> X=1", "555"),
        ("FROM:<a@b> NOTIFY=NEVER", "555"),
        ("FROM:<a@b>\tSIZE=1", "501"),
        ("FROM:<a@b> SIZE=1\tX", "501"),
        ("FROM:<\u{fc}@b>", "501"),
        ("FROM:<a@b> ENVID=\u{fc}", "501"),
    ] {
        match expected {
            "250" => assert!(sent(arguments).is_ok(), "{arguments}"),
            _ => assert_eq!(code(sent(arguments)), expected, "{arguments}"),
        }
    }
    let many: String = (0..100).map(|number| format!(" X{number}=1")).collect();
    assert_eq!(code(sent(&format!("FROM:<a@b>{many}"))), "555");
    assert_eq!(code(mail(b"FROM:<\xf1\x80@b>", "client")), "501");
    let envid = |length| sent(&format!("FROM:<a@b> ENVID={}", "x".repeat(length)));
    assert!(envid(100).is_ok() && envid(101).is_err());
}

#[test]
fn a_recipient_that_cannot_be_read_is_refused() {
    for (arguments, expected) in [
        ("TO:", "501"),
        ("TO:<>", "501"),
        ("TO:<\"\"@x>", "501"), // D38
        ("TO:<a@b", "501"),
        ("TO:<<a@b>", "501"),
        ("TO:<a@b>>", "501"),
        ("FROM:<a@b>", "501"),
        ("TO:<a@b> NOTIFY=", "501"),
        ("TO:<a@b> NOTIFY=X", "501"),
        ("TO:<a@b> NOTIFY=NEVER,DELAY", "501"),
        ("TO:<a@b> NOTIFY=DELAY,DELAY", "501"),
        ("TO:<a@b> NOTIFY=DELAY,", "501"),
        ("TO:<a@b> ORCPT=rfc822", "501"),
        ("TO:<a@b> ORCPT=rfc822;", "501"),
        ("TO:<a@b> ORCPT=;x", "501"),
        ("TO:<a@b> ORCPT=rfc822;a+00b", "501"),
        ("TO:<a@b> ORCPT=rfc822;a ORCPT=rfc822;a", "501"),
        ("TO:<a@b> SIZE=1", "555"),
        ("TO:<a@b> X", "555"),
    ] {
        assert_eq!(code(recipient(arguments.as_bytes())), expected, "{arguments}");
    }
    let orcpt = |length: usize| recipient(format!("TO:<a@b> ORCPT=rfc822;{}", "x".repeat(length - 7)).as_bytes());
    assert!(orcpt(500).is_ok() && orcpt(501).is_err());
}
