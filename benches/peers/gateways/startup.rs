//! The start-up files of `startup/`, filled in, and the command lines that go with them.

use std::fs::{DirBuilder, write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::Result;

use super::process::output;
use super::{Directory, Gateway, Ports, Site, Wish};

/// Writes what the gateway reads, and returns the arguments of each process to start.
pub fn commands(gateway: Gateway, wish: &Wish, site: &Site, ports: Ports, folder: &Path) -> Result<Vec<Vec<String>>> {
    let fill = |template: &str| {
        let sink_imap = if wish.tls_behind { site.sink.imaps } else { site.sink.imap };
        let limit = super::raise_descriptors()?;
        let (source, remembered) = directory(&wish.directory);
        let values = [
            ("{folder}", folder.display().to_string()),
            ("{certs}", site.certs.display().to_string()),
            ("{imap}", ports.imap.to_string()),
            ("{imaps}", ports.imaps.to_string()),
            ("{pop3}", ports.pop3.to_string()),
            ("{submission}", ports.submission.to_string()),
            ("{admin}", ports.admin.to_string()),
            ("{sink}", gateway.sink().to_string()),
            ("{sink_imap}", sink_imap.to_string()),
            ("{sink_pop3}", site.sink.pop3.to_string()),
            ("{sink_smtp}", site.sink.smtp.to_string()),
            ("{sink_auth}", site.sink.auth.to_string()),
            ("{tls_behind}", tls_behind(gateway, wish, site)),
            ("{descriptors}", limit.to_string()),
            ("{connections}", (limit - 200).to_string()),
            ("{held}", (limit / 2 - 100).to_string()),
            ("{source}", source),
            ("{remembered}", remembered.to_string()),
            ("{workers}", (1 + wish.more_workers).to_string()),
            ("{log}", if wish.logs { "info" } else { "warn" }.to_owned()),
        ];
        Ok::<_, anyhow::Error>(values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value)))
    };
    let file = |name: &str| folder.join(name).display().to_string();
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    Ok(match gateway {
        Gateway::Portcullis => {
            write(file("portcullis.yaml"), fill(include_str!("../startup/portcullis.yaml"))?)?;
            // What its memory takes is read as the user that runs the benchmark.
            vec![words(&["serve", "--config", &file("portcullis.yaml"), "--core-dumps"])]
        }
        Gateway::Nginx => {
            write(file("nginx.conf"), fill(include_str!("../startup/nginx.conf"))?)?;
            vec![words(&["-c", &file("nginx.conf"), "-e", &file("nginx.log")])]
        }
        Gateway::Haproxy => {
            write(file("haproxy.cfg"), fill(include_str!("../startup/haproxy.cfg"))?)?;
            vec![words(&["-db", "-q", "-f", &file("haproxy.cfg")])]
        }
        Gateway::Dovecot => {
            // Its log-in processes run as users of their own, who must reach its sockets.
            std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
            DirBuilder::new().mode(0o755).create(folder.join("run"))?;
            write(file("dovecot.conf"), fill(include_str!("../startup/dovecot.conf"))?)?;
            vec![words(&["-F", "-c", &file("dovecot.conf")])]
        }
        Gateway::Perdition => {
            let template = include_str!("../startup/perdition.conf");
            let behind = if wish.tls_behind { "ssl_outgoing" } else { "none" };
            let both = if wish.tls_behind { "ssl_all" } else { "ssl_listen" };
            let sink_imap = if wish.tls_behind { site.sink.imaps } else { site.sink.imap };
            let mut commands = Vec::new();
            for (protocol, port, port_behind, ssl_mode) in [
                ("IMAP4", ports.imap, sink_imap, behind),
                ("IMAP4", ports.imaps, sink_imap, both),
                ("POP3", ports.pop3, site.sink.pop3, "none"),
            ] {
                let text = fill(template)?
                    .replace("{protocol}", protocol)
                    .replace("{port}", &port.to_string())
                    .replace("{port_behind}", &port_behind.to_string())
                    .replace("{ssl_mode}", ssl_mode)
                    .replace("{owner}", &output("id", &["-un"]))
                    .replace("{group}", &output("id", &["-gn"]));
                let name = file(&format!("perdition.{port}.conf"));
                write(&name, text)?;
                commands.push(words(&["-f", &name]));
            }
            commands
        }
    })
}

fn directory(directory: &Directory) -> (String, u32) {
    match directory {
        Directory::OneServer => ("pool: stores".to_owned(), 100_000),
        Directory::Ldap { port, remembered } => {
            let source = format!(
                "ldap: {{ urls: [\"ldap://127.0.0.1:{port}\"], base: \"ou=people,dc=example,dc=com\", filter: \
                 \"(mail={{user}})\", attributes: {{ host: mailHost }} }}"
            );
            (source, *remembered)
        }
    }
}

/// How each is told to speak TLS to the sink.
fn tls_behind(gateway: Gateway, wish: &Wish, site: &Site) -> String {
    let ca = site.certs.join("ca.pem");
    match (gateway, wish.tls_behind) {
        (Gateway::Portcullis, true) => format!("{{ mode: implicit, ca: \"{}\" }}", ca.display()),
        (Gateway::Portcullis, false) => "{ mode: none }".to_owned(),
        (Gateway::Haproxy, true) => format!("ssl verify required ca-file {} sni str(sink.example.com)", ca.display()),
        (Gateway::Dovecot, true) => "ssl=any-cert".to_owned(),
        _ => String::new(),
    }
}
