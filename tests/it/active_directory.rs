//! The preset for Active Directory, with a slapd that has its attributes.

use crate::support::gateway::{Gateway, portcullis};
use crate::support::mail::{BOTH, Refusal};
use crate::support::plan::Plan;
use crate::support::site;
use crate::support::slapd::Slapd;

/// Of Active Directory's schema what the preset reads; slapd's own copy of it (msuser.schema) compares no values.
const SCHEMA: &str = "\
attributetype ( 1.1.2.1 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.1.2.2 NAME 'userPrincipalName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.1.2.3 NAME 'proxyAddresses' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.1.2.4 NAME 'userAccountControl' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
objectclass ( 1.1.2.5 NAME 'user' AUXILIARY MAY ( sAMAccountName $ userPrincipalName $ proxyAddresses $ userAccountControl ) )
";

/// 512 is a normal account, 2 a disabled one, 65536 one whose password never expires.
const PEOPLE: &str = "
dn: cn=Erin Smith,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
objectClass: inetLocalMailRecipient
objectClass: user
cn: Erin Smith
sn: Smith
mail: e.smith@example.org
sAMAccountName: esmith
userPrincipalName: erin@corp.example
proxyAddresses: SMTP:e.smith@example.org
proxyAddresses: smtp:erin.smith@example.org
userAccountControl: 66048
mailHost: one.stores.example.org

dn: cn=Ursula,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
objectClass: inetLocalMailRecipient
objectClass: user
cn: Ursula
sn: Ursula
mail: ursula@example.org
sAMAccountName: ursula
userPrincipalName: ursula@corp.example
userAccountControl: 66050
mailHost: one.stores.example.org
";

fn plan(slapd: &Slapd) -> Plan {
    let ldap = "directory.sources.ldap";
    site::shared()
        .plan()
        .without(&format!("{ldap}.filter"))
        .without(&format!("{ldap}.status"))
        .set(&format!("{ldap}.urls"), &format!("[\"{}\"]", slapd.url()))
        .set(&format!("{ldap}.preset"), "active-directory")
        .set(&format!("{ldap}.attributes"), "{ host: mailHost }")
        .set("directory.domains", "[example.org, corp.example]")
}

#[test]
fn whatever_name_a_user_logs_in_by_the_back_end_is_told_the_principal_name() {
    let slapd = Slapd::start_with_schema(SCHEMA, PEOPLE);
    let gateway = Gateway::start(&plan(&slapd));
    let names = ["erin@corp.example", "esmith", "CORP\\esmith", "corp\\ESmith", "e.smith@example.org", "erin.smith"];
    for (mail, name) in BOTH.into_iter().flat_map(|mail| names.map(|name| (mail, name))) {
        let mut client = mail.open(&gateway);
        let answer = mail.try_login(&mut client, name, "erin@corp.example-secret");
        assert!(mail.is_in(&answer), "{mail:?} {name}: {answer}\n{}", gateway.log());
    }
    gateway.metric_becomes("logins_total", &["granted"], 12.0);
}

#[test]
fn a_disabled_account_is_told_apart_from_an_unknown_one_in_the_log() {
    let slapd = Slapd::start_with_schema(SCHEMA, PEOPLE);
    let gateway = Gateway::start(&plan(&slapd));
    for mail in BOTH {
        let answer = mail.try_login(&mut mail.open(&gateway), "ursula", "ursula@corp.example-secret");
        mail.refused(&answer, Refusal::Policy);
        let answer = mail.try_login(&mut mail.open(&gateway), "nobody", "wrong");
        mail.refused(&answer, Refusal::BadCredentials);
    }
    gateway.logged(&[
        "login denied",
        "ursula",
        "denial=\"policy\"",
        "detail=\"status deny (userAccountControl=`66050`, flag 2)\"",
    ]);
    gateway.logged(&["login denied", "nobody", "detail=\"unknown user\""]);
}

#[test]
fn what_a_preset_stands_for_is_printed() {
    let one = portcullis(&["presets", "active-directory"]).fine();
    for words in
        ["active-directory:", "(sAMAccountName={account})", "user: userPrincipalName", "status: { flag 2: deny }"]
    {
        assert!(one.contains(words), "{one}");
    }
    let all = portcullis(&["presets"]).fine();
    for name in ["inetlocalmailrecipient", "qmail-ldap", "kolab", "sun", "active-directory", "zimbra"] {
        assert!(all.contains(&format!("{name}:")), "{all}");
    }
    let none = portcullis(&["presets", "exchange"]);
    assert!(none.code == Some(1) && none.err.contains("active-directory"), "{none:?}");
}
