"""One message with smtplib: submit.py SOURCE HOST PORT implicit|starttls CA USER PASSWORD PLAIN|LOGIN SUBJECT

Sends it from the address SOURCE: many lines, some of which begin with a dot.
"""

import smtplib
import ssl
import sys

source, host, port, tls, ca, user, password, mechanism, subject = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
options = {"timeout": 30, "source_address": (source, 0), "local_hostname": "client.example.org"}
if tls == "implicit":
    session = smtplib.SMTP_SSL(host, int(port), context=context, **options)
else:
    session = smtplib.SMTP(host, int(port), **options)
    session.ehlo()
    assert not session.has_extn("auth"), session.esmtp_features
    assert session.starttls(context=context)[0] == 220
session.ehlo()
assert mechanism in session.esmtp_features["auth"].split(), session.esmtp_features

session.user, session.password = user, password
answer = session.auth(mechanism, getattr(session, "auth_" + mechanism.lower()))
assert answer[0] == 235, answer
lines = "".join("%sline %d\r\n" % ("." * (n % 3), n) for n in range(5000))
head = "From: %s@example.org\r\nTo: someone@example.org\r\nSubject: %s\r\n\r\n" % (user, subject)
refused = session.sendmail(user + "@example.org", ["someone@example.org"], head + lines)
assert not refused, refused
assert session.quit()[0] == 221
