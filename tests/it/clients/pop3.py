"""One POP3 session with poplib: pop3.py HOST PORT implicit|starttls CA USER PASSWORD SUBJECT

Prints the seeded message's last line, then retrieves and deletes every message of that subject, and prints how many.
"""

import poplib
import ssl
import sys

host, port, tls, ca, user, password, subject = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
if tls == "implicit":
    session = poplib.POP3_SSL(host, int(port), context=context, timeout=30)
else:
    session = poplib.POP3(host, int(port), timeout=30)
    assert "STLS" in session.capa()
    session.stls(context)
    assert "STLS" not in session.capa()

session.user(user)
session.pass_(password)
count, _ = session.stat()
print(session.retr(1)[1][-1].decode())
deleted = 0
for number in range(2, count + 1):
    if b"Subject: " + subject.encode() in session.top(number, 0)[1]:
        session.retr(number)
        session.dele(number)
        deleted += 1
session.quit()
print(deleted)
