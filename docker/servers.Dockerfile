# The servers around the gateway in compose.yaml: Debian's packages and nothing else; their configurations are mounted.

FROM debian:bookworm-slim AS certificates
RUN apt-get update && apt-get install -y --no-install-recommends openssl && rm -rf /var/lib/apt/lists/*

FROM debian:bookworm-slim AS slapd
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends slapd \
    && rm -rf /var/lib/apt/lists/*
EXPOSE 389

FROM debian:bookworm-slim AS dovecot
RUN apt-get update \
    && apt-get install -y --no-install-recommends dovecot-imapd dovecot-pop3d \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 5000 --user-group --no-create-home vmail \
    && install -d -o vmail -g vmail /srv/mail
EXPOSE 110 143

FROM debian:bookworm-slim AS postfix
RUN apt-get update \
    && echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postfix \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 5000 --user-group --no-create-home vmail \
    && install -d -o vmail -g vmail /srv/mail
EXPOSE 25 587
