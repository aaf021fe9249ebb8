# Debian packages, installed without their services being started; sourced by ./test and benches/peers/run.

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

missing_packages() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
    done
}

# A package starts its service when it is installed, on the ports of a real mail server. policy-rc.d forbids that for
# as long as the installation takes; one that was there before comes back.
POLICY=/usr/sbin/policy-rc.d
restore_policy() {
    as_root rm -f "$POLICY"
    if [ -e "$POLICY.portcullis" ]; then as_root mv "$POLICY.portcullis" "$POLICY"; fi
}

install_packages() {
    if [ -e "$POLICY" ]; then as_root mv "$POLICY" "$POLICY.portcullis"; fi
    trap restore_policy EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
    as_root apt-get update -q
    # Postfix asks what kind of site this is, and would configure itself by the answer.
    echo 'postfix postfix/main_mailer_type select No configuration' | as_root debconf-set-selections
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
    trap - EXIT
    restore_policy
}

# Installs those of its arguments that are not there; touches neither network nor system when none is.
have_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    if [ "${#missing[@]}" -eq 0 ]; then echo "all there"; return; fi
    echo "missing: ${missing[*]}"
    install_packages "${missing[@]}"
}
