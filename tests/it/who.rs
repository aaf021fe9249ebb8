//! The list of very many sessions: what it costs whoever asks for it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

/// As many as an administrator of a large site may see.
const SESSIONS: usize = 5_000;
const PAGE: usize = 1_000;

/// Answers one request as the API would: a page of the sessions, from the cursor on.
fn answer(mut stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut request = String::new();
    reader.read_line(&mut request).ok()?;
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    let cursor = request.split("cursor=8000000a%2D").nth(1).and_then(|rest| rest.split(['&', ' ']).next());
    let first = cursor.map_or(0, |number| usize::from_str_radix(number, 16).expect("a number"));
    let end = (first + PAGE).min(SESSIONS);
    let mut body = "{\"sessions\":[".to_owned();
    for number in first + 1..=end {
        let comma = if number == end { "" } else { "," };
        let _ = write!(
            body,
            r#"{{"id":"8000000a-{number:x}","node":"mail.example.org/4711","user":"user{number}@example.org","protocol":"imap","listener":"imap 192.0.2.1:993","client":"198.51.100.7:{}","tls":{{"version":"TLSv1_3","cipher":"TLS13_AES_256_GCM_SHA384"}},"backend":"one.stores.example.org","since":1700000000,"moved":1700000100,"up":{number},"down":123456}}{comma}"#,
            number + 1024
        );
    }
    let next = if end < SESSIONS { format!(",\"cursor\":\"8000000a-{end:x}\"") } else { String::new() };
    let _ = write!(body, "],\"total\":{SESSIONS},\"partial\":false{next}}}");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).ok()
}

/// `0m0.120s` in seconds.
fn seconds(time: &str) -> f64 {
    let (minutes, rest) = time.split_once('m').expect("minutes");
    minutes.parse::<f64>().unwrap() * 60.0 + rest.trim_end_matches('s').parse::<f64>().unwrap()
}

#[test]
fn five_thousand_sessions_are_listed_in_less_than_a_second_of_cpu() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().flatten().filter_map(answer).count());
    // The shell's `times`: its own, then that of its children, which is this one process.
    let script = "\"$0\" who --admin \"$1\" && times";
    let ran = Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_portcullis"), &admin]).output().unwrap();
    let text = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let mut lines: Vec<&str> = text.lines().collect();
    let times = lines.pop().expect("times");
    lines.pop();
    assert_eq!(lines.pop(), Some("5000 sessions"));
    assert_eq!(lines.len(), SESSIONS + 1, "and a head");
    assert!(lines[SESSIONS].contains("user5000@example.org"), "{}", lines[SESSIONS]);
    let cpu: f64 = times.split_whitespace().map(seconds).sum();
    println!("CPU of `who` with {SESSIONS} sessions: {cpu:.3} s");
    assert!(cpu < 1.0, "{cpu} seconds");
}
