"""A client of the kind that blocks: blocking.py HOST PORT CA GREETING COMMAND ANSWER

Behind each line that it has read it asks select() whether there is more, and then reads without a time limit: bytes
that are no line hold it for ever. Says the command, and prints whether a second session resumes the first.
"""

import select
import signal
import socket
import ssl
import sys

host, port, ca, greeting, command, answer = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.minimum_version = ssl.TLSVersion.TLSv1_3
# A hang ends the program, and so the test.
signal.alarm(20)


def lines(stream):
    heard = stream.recv(4096)
    while select.select([stream], [], [], 0.3)[0]:
        more = stream.recv(4096)
        assert more, heard
        heard += more
    return heard.decode()


def converse(session):
    tcp = socket.create_connection((host, int(port)))
    tcp.settimeout(None)
    with context.wrap_socket(tcp, server_hostname="mail.example.org", session=session) as stream:
        heard = lines(stream)
        assert heard.startswith(greeting) and heard.count("\n") == 1, heard
        stream.sendall(command.encode() + b"\r\n")
        heard = lines(stream)
        assert heard.startswith(answer) and heard.count("\n") == 1, heard
        return stream.session, stream.session_reused


session, resumed = converse(None)
assert not resumed
print("resumed" if converse(session)[1] else "not resumed")
