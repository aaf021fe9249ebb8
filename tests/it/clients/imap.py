"""One IMAP session with imaplib: imap.py HOST PORT implicit|starttls CA USER PASSWORD MAILBOX

Makes the mailbox, appends a message, fetches it back, deletes both, and prints the seeded message's text.
"""

import imaplib
import ssl
import sys

host, port, tls, ca, user, password, mailbox = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
if tls == "implicit":
    session = imaplib.IMAP4_SSL(host, int(port), ssl_context=context, timeout=30)
else:
    session = imaplib.IMAP4(host, int(port), timeout=30)
    session.starttls(context)


def done(answer):
    assert answer[0] == "OK", answer
    return answer[1]


done(session.login(user, password))
done(session.select("INBOX", readonly=True))
text = done(session.fetch("1", "(BODY.PEEK[TEXT])"))[0][1].decode()

done(session.create(mailbox))
message = b"Subject: appended\r\n\r\n" + b"".join(b"line %d of a long message\r\n" % n for n in range(20000))
done(session.append(mailbox, None, None, message))
done(session.select(mailbox))
fetched = done(session.fetch("1", "(BODY.PEEK[])"))[0][1]
assert fetched == message, (len(fetched), len(message))
done(session.store("1", "+FLAGS", "\\Deleted"))
assert done(session.expunge()) == [b"1"]
done(session.close())
done(session.delete(mailbox))
assert session.logout()[0] == "BYE"
print(text.strip())
